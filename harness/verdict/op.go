package verdict

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/half"
	"attndiff/traces/trace"
)

// opError is one side's error at one op: what it recorded against the oracle
// computed from its own inputs. Elements whose oracle is not finite, because
// the inputs were not, say only that ours must not be finite either, and are
// left out of the sums.
type opError struct {
	dtype              trace.DType // that the values were rounded to
	err, energy, noise float64     // sums of squares over the tensor
	rows               []squares   // the same per row
	channel            squares     // the same for the channel with the most energy
	channelAt          int
	peak               int // flat index of the largest error
	peakErr            float64
	excess             float64 // largest ratio of error to noise over rows: how far the side strays from the arithmetic assumed of it
	beyond             float64 // the same, with stored roundings that turned counted as noise
	turned             float64 // the largest of the rows' turned
	blind              bool    // some elements' oracle is not finite or open
	odd                int     // flat index of the first element that is finite where the oracle is not, or the reverse; -1 for none
	broken             string  // an exact rule that does not hold, with its place
}

// squares are the sums that decide: squared error, squared oracle, noise, and
// the noise with every stored rounding in a gap turned ([oracle.Oracle.Turned]).
type squares struct{ err, energy, noise, turned float64 }

func (q *squares) add(e, s, n, t float64) {
	q.err, q.energy, q.noise, q.turned = q.err+e, q.energy+s, q.noise+n, q.turned+t
}

// nmse is the op's error on the whole tensor.
func (o *opError) nmse() float64 { return ratio(o.err, o.energy) }

// compare measures recorded values against the oracle's. Storage in a narrow
// type adds its rounding to the noise. Where the oracle leaves no noise at all
// (the caches, masked probabilities, embedding rows) bit equality is owed.
// turned is nil where no cache was composed.
func compare(got []float64, dt trace.DType, want oracle.Value, turned []float64) *opError {
	turn := func(i int) float64 {
		if turned == nil {
			return 0
		}
		return turned[i]
	}
	width := 1
	if n := len(want.Shape); n > 0 {
		width = max(want.Shape[n-1], 1)
	}
	o := &opError{dtype: dt, rows: make([]squares, (len(got)+width-1)/width), peakErr: -1, odd: -1}
	energy := make([]float64, width)
	for i, x := range got {
		y := want.Data[i]
		if oracle.Open(y, want.Noise[i]) {
			o.blind = true
			continue
		}
		if o.odd < 0 && !sameKind(x, y) {
			o.odd = i
		}
		if !finite(y) {
			o.blind = true
			continue
		}
		noise := want.Noise[i]
		if noise == 0 && !sameStored(x, y, dt) && o.broken == "" {
			o.broken = exactRule(want, i, x, y)
		}
		if noise > 0 || !want.Exact {
			noise += oracle.StorageNoise(dt, y)
		}
		d := x - y
		e := d * d
		if noise == 0 && sameStored(x, y, dt) {
			e = 0 // stored in a narrower type than the oracle's float64
		}
		if exceeds(e, o.peakErr) {
			o.peak, o.peakErr = i, e
		}
		o.rows[i/width].add(e, y*y, noise, turn(i))
		energy[i%width] += y * y
	}
	for _, r := range o.rows {
		o.err, o.energy, o.noise = o.err+r.err, o.energy+r.energy, o.noise+r.noise
		if r.err > 0 {
			o.excess = max(o.excess, r.err/r.noise)
			o.beyond = max(o.beyond, r.err/max(r.noise, r.turned))
		}
		o.turned = max(o.turned, r.turned)
	}
	o.channelAt = argmax(energy)
	for i := o.channelAt; i < len(got); i += width {
		if y := want.Data[i]; finite(y) {
			d := got[i] - y
			e := d * d
			if want.Noise[i] == 0 && sameStored(got[i], y, dt) {
				e = 0
			}
			o.channel.add(e, y*y, want.Noise[i]+oracle.StorageNoise(dt, y), turn(i))
		}
	}
	return o
}

// sameStored reports whether x is y as type dt stores it.
func sameStored(x, y float64, dt trace.DType) bool {
	switch dt {
	case trace.F32:
		y = float64(float32(y))
	case trace.F16:
		y = float64(half.RoundF16(float32(y)))
	case trace.BF16:
		y = float64(half.RoundBF16(float32(y)))
	}
	return x == y
}

// exactRule words a broken equality.
func exactRule(want oracle.Value, i int, x, y float64) string {
	at := unravel(i, want.Shape)
	if y == 0 && !want.Exact {
		return fmt.Sprintf("must be exactly 0 at %v (masked) and is %.6g", at, x)
	}
	return fmt.Sprintf("must equal its source bit for bit; at %v it is %.9g, want %.9g", at, x, y)
}

// sameKind reports whether x is finite where y is, and no infinity where y is
// the other one. NaN and an infinity are of one kind: which of them comes out
// can hang on the order of a sum.
func sameKind(x, y float64) bool {
	return finite(x) == finite(y) && !(math.IsInf(x, 0) && math.IsInf(y, 0) && x != y)
}

// unlike words the element that is of another kind than the oracle's.
func (t *Tap) unlike(at []int, x, y float64) string {
	switch {
	case finite(y):
		return fmt.Sprintf("not finite at %v (%d NaN, %d Inf)", at, t.Drift.NaNA, t.Drift.InfA)
	case finite(x):
		return fmt.Sprintf("%.6g at %v, where its own inputs are not finite and make it %v", x, at, y)
	}
	return fmt.Sprintf("%v at %v, where its own inputs make it %v", x, at, y)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// valid reports whether the oracle speaks this model's semantics: the
// reference itself must come out within the noise of its own arithmetic.
func (o *opError) valid() bool {
	turned := 0.0
	for _, r := range o.rows {
		turned += r.turned
	}
	return o.broken == "" && o.odd < 0 && o.err <= oracle.Confidence*max(o.noise, turned) && o.beyond <= rowConfidence
}
