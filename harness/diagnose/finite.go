package diagnose

import (
	"fmt"
	"math"
	"slices"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// notFinite is the aspect of what becomes of values that are not finite.
const notFinite = "NaN and Inf"

// finiteMistakes pass on numbers where the op gives NaN or Inf. They hide the
// mistake that made them.
func finiteMistakes(Model) []Hypothesis {
	var out []Hypothesis
	replaced := func(id, title string, by func(v float64) float64) {
		out = append(out, Hypothesis{ID: id, Aspect: notFinite, Taps: tap.All(), Title: title,
			Fix: "Pass NaN and Inf on, and mend what makes them.",
			Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows {
				out := mapped(y, func(_ int, v float64) float64 { return by(v) })
				out.Noise = slices.Clone(y.Noise)
				for i := range out.Noise {
					if !finite(y.V[i]) {
						out.Noise[i] = 0
					}
				}
				return out
			})})
	}
	or := func(number float64, f func(v float64) float64) func(float64) float64 {
		return func(v float64) float64 {
			if math.IsNaN(v) {
				return number
			}
			return f(v)
		}
	}
	same := func(v float64) float64 { return v }
	replaced("nan-made-zero", "NaN is replaced by 0", or(0, same))
	replaced("not-finite-made-zero", "NaN and Inf are replaced by 0", or(0, func(v float64) float64 {
		if math.IsInf(v, 0) {
			return 0
		}
		return v
	}))
	// fmaxf and fminf return the other operand of NaN, so that a clamp makes it
	// the bound that comes first.
	for _, most := range []float64{largestHalf, math.MaxFloat32} {
		clamp := func(v float64) float64 { return math.Max(-most, math.Min(most, v)) }
		name := fmt.Sprintf("clamped-to-%.0f", most)
		if most == math.MaxFloat32 {
			name = "clamped-to-f32"
		}
		title := fmt.Sprintf("the result is clamped to %.6g either way", most)
		replaced(name, title+", which makes NaN the lower bound", or(-most, clamp))
		replaced(name+"-from-above", title+", which makes NaN the upper bound", or(most, clamp))
		replaced(name+"-nan-zero", title+" and NaN made 0", or(0, clamp))
	}
	return out
}
