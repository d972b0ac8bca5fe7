package verdict

import "math"

// Measure compares two row-major tensors of one shape: a against b, b being
// the trusted one. Rows are the leading axes flattened, channels the last
// axis. A tensor of no elements measures as equal.
//
// Non-finite elements are counted and make NMSE NaN; they are left out of the
// maximum, whose place FirstBad takes.
func Measure(a, b []float32, shape []int) Metrics {
	width := 1
	if len(shape) > 0 {
		width = max(shape[len(shape)-1], 1)
	}
	m := Metrics{}
	var err, energy, energyA, dot float64
	worst, peak, peakAt := -1, -1.0, 0
	channels := make([]float64, width)
	for lo := 0; lo < len(a); lo += width {
		ra, rb := a[lo:lo+width], b[lo:lo+width]
		var e, s, sa, d, top float64
		for i, y := range rb {
			x, y := float64(ra[i]), float64(y)
			diff := x - y
			e += diff * diff
			y2 := y * y
			s += y2
			sa += x * x
			d += x * y
			channels[i] += y2
			top = max(top, math.Abs(diff)) // max keeps a NaN
		}
		err, energy, energyA, dot = err+e, energy+s, energyA+sa, dot+d
		if exceeds(top, peak) {
			peak, peakAt = top, lo
		}
		if n := ratio(e, s); worst < 0 || exceeds(n, m.WorstRowNMSE) {
			worst, m.WorstRowNMSE = lo/width, n
		}
	}
	m.NMSE = ratio(err, energy)
	m.Cos = cosine(dot, energyA, energy)
	if math.IsNaN(err) || math.IsInf(err, 0) || math.IsInf(energy, 0) {
		m.count(a, b, shape)
	}
	m.locate(a, b, shape, peakAt, width)
	if worst >= 0 {
		m.WorstRow = unravel(worst, shape[:max(len(shape)-1, 0)])
	}
	m.Channel = argmax(channels)
	m.ChannelNMSE = channelNMSE(a, b, m.Channel, width)
	return m
}

// locate finds the largest difference, looking first in the row that starts at
// lo, which the first pass found to hold it.
func (m *Metrics) locate(a, b []float32, shape []int, lo, width int) {
	if len(a) == 0 {
		return
	}
	at := lo
	for i := lo; i < lo+width; i++ {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if math.IsNaN(d) {
			at = i
			m.MaxAbs = d
			break
		}
		if d > m.MaxAbs {
			at, m.MaxAbs = i, d
		}
	}
	m.At, m.A, m.B = unravel(at, shape), float64(a[at]), float64(b[at])
}

// count counts the non-finite elements of both sides.
func (m *Metrics) count(a, b []float32, shape []int) {
	for i := range a {
		switch x := float64(a[i]); {
		case math.IsNaN(x):
			m.NaNA++
		case math.IsInf(x, 0):
			m.InfA++
		}
		if m.FirstBad == nil && m.NaNA+m.InfA > 0 {
			m.FirstBad = unravel(i, shape)
		}
		switch y := float64(b[i]); {
		case math.IsNaN(y):
			m.NaNB++
		case math.IsInf(y, 0):
			m.InfB++
		}
	}
}

// channelNMSE is the NMSE of one channel over all rows.
func channelNMSE(a, b []float32, channel, width int) float64 {
	var e, s float64
	for i := channel; i < len(a); i += width {
		d := float64(a[i]) - float64(b[i])
		e += d * d
		s += float64(b[i]) * float64(b[i])
	}
	return ratio(e, s)
}

// exceeds reports whether x is larger than the largest so far; a NaN is larger
// than anything and stays.
func exceeds(x, largest float64) bool { return !(x <= largest) && !math.IsNaN(largest) }

// ratio is e/s, 0 for 0/0: two zero tensors are equal.
func ratio(e, s float64) float64 {
	if e == 0 {
		return 0
	}
	return e / s
}

// cosine is dot/(|a||b|), 1 for two zero vectors.
func cosine(dot, a2, b2 float64) float64 {
	if a2 == 0 && b2 == 0 {
		return 1
	}
	return dot / math.Sqrt(a2) / math.Sqrt(b2)
}

// unravel turns a flat index into one index per axis.
func unravel(i int, shape []int) []int {
	at := make([]int, len(shape))
	for axis := len(shape) - 1; axis >= 0; axis-- {
		n := max(shape[axis], 1)
		at[axis] = i % n
		i /= n
	}
	return at
}

func argmax(v []float64) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}

// ratioNaN marks a figure that there is no value for.
var ratioNaN = math.NaN()
