package oracle

import "math"

// Engines count in f32. A term or a sum past its range is Inf there, and whether
// 0, Inf or NaN comes of that hangs on the order of the sum, so the oracle, which
// counts in float64, cannot say. Such an element is open: its value is NaN and its
// variance +Inf, and whatever an engine has there is right. What is computed from
// one is open too.

// Open reports whether an element of that value and variance may be anything.
func Open(value, noise float64) bool { return math.IsNaN(value) && math.IsInf(noise, 1) }

// overflows reports whether a sum may leave the range of f32; size bounds its
// terms and what they add up to.
func overflows(size float64) bool { return size > math.MaxFloat32 && !math.IsInf(size, 0) }

// open leaves elements lo to hi open.
func (r Rows) open(lo, hi int) {
	for i := lo; i < hi; i++ {
		r.V[i], r.Noise[i] = math.NaN(), math.Inf(1)
	}
}

// anyOpen reports whether an element is open.
func (r Rows) anyOpen() bool {
	for i, n := range r.Noise {
		if Open(r.V[i], n) {
			return true
		}
	}
	return false
}

// inRange leaves open what f32 cannot hold and, where inputs were open, what is
// not a number.
func (r Rows) inRange(inputsOpen bool) {
	if r.Noise == nil {
		return // copied
	}
	for i, v := range r.V {
		if overflows(math.Abs(v)) || inputsOpen && math.IsNaN(v) {
			r.open(i, i+1)
		}
	}
}

// squares is the sum of a row's squares.
func squares(row []float64) float64 {
	sum := 0.0
	for _, v := range row {
		sum += v * v
	}
	return sum
}
