package diagnose

import (
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/half"
	"attndiff/traces/tap"
)

// rounding is a type narrower than f32.
type rounding struct {
	name string
	unit float64 // roundoff
	to   func(float64) float64
}

// roundings are the narrower types that people's kernels pass through.
var roundings = []rounding{
	{"f16", oracle.UnitF16, func(v float64) float64 { return float64(half.RoundF16(float32(v))) }},
	{"bf16", oracle.UnitBF16, func(v float64) float64 { return float64(half.RoundBF16(float32(v))) }},
}

// tf32 is what tensor cores make of f32 operands where they are let: as many
// bits as f16, over the whole range.
var tf32 = rounding{"tf32", oracle.UnitF16, func(v float64) float64 { return toMantissa(v, 11) }}

// toMantissa rounds to nearest with a number of significant bits, exponents
// unbounded.
func toMantissa(v float64, bits int) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	m, e := math.Frexp(v)
	return math.Ldexp(math.RoundToEven(math.Ldexp(m, bits)), e-bits)
}

// apply rounds x. A value with noise of deviation s near a boundary between
// two numbers falls to the other with probability 0.8 s/spacing, and is then a
// spacing off: 0.8 s spacing of variance, spacing being 2 unit |v| at most.
func (r rounding) apply(x oracle.Rows) oracle.Rows {
	y := mapped(x, func(_ int, v float64) float64 { return r.to(v) })
	if x.Noise != nil {
		y.Noise = make([]float64, len(x.Noise))
		for i, n := range x.Noise {
			y.Noise[i] = n + 2*r.unit*math.Abs(x.V[i])*math.Sqrt(n)
		}
	}
	return y
}

// precisionMistakes keep a result in a narrow type.
func precisionMistakes(Model) []Hypothesis {
	var all []tap.Tap
	for _, t := range tap.All() {
		if t != tap.KCache && t != tap.VCache { // these have a type of their own
			all = append(all, t)
		}
	}
	var out []Hypothesis
	for _, r := range roundings {
		out = append(out, Hypothesis{ID: "output-rounded-to-" + r.name, Aspect: "output type", Taps: all,
			Title:   "the result is rounded to " + r.name,
			Fix:     "Keep activations in f32 between ops, as llama.cpp does.",
			Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows { return r.apply(y) })})
	}
	return out
}
