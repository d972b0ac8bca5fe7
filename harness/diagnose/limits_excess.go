package diagnose

import (
	"math"

	"attndiff/harness/oracle"
	"attndiff/harness/verdict"
)

// excess is how far a mistake stands out of a recording, as the largest of the
// whole tensor's and each row's squared error over what is allowed there. A
// value that the mistake leaves undefined stands out, as does any difference
// where equality is owed.
func excess(wrong, right oracle.Value, r verdict.Tap) float64 {
	if len(wrong.Data) != len(right.Data) {
		return math.Inf(1)
	}
	width := right.Shape[len(right.Shape)-1]
	allowance := math.Max(r.Allowance, 0) // NaN stays out
	if math.IsNaN(allowance) {
		allowance = 0
	}
	over := func(err, energy, noise float64) float64 {
		if err == 0 {
			return 0
		}
		return err / math.Max(allowance*energy, oracle.Confidence*noise)
	}
	largest, err, energy, noise := 0.0, 0.0, 0.0, 0.0
	for lo := 0; lo < len(right.Data); lo += width {
		e, s, n := 0.0, 0.0, 0.0
		for i := lo; i < lo+width; i++ {
			x, y := wrong.Data[i], right.Data[i]
			switch {
			case math.IsNaN(y) || x == y:
				continue
			case math.IsNaN(x) || math.IsInf(x-y, 0):
				return math.Inf(1)
			}
			e += (x - y) * (x - y)
		}
		for i := lo; i < lo+width; i++ {
			if y := right.Data[i]; !math.IsNaN(y) && !math.IsInf(y, 0) {
				s, n = s+y*y, n+right.Noise[i]
			}
		}
		largest = max(largest, over(e, s, n))
		err, energy, noise = err+e, energy+s, noise+n
	}
	return max(largest, over(err, energy, noise))
}
