package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

var softMaxTaps = []tap.Tap{tap.KQSoftMax}

// scaleMistakes are the mistakes people make in the factor on the scores.
func scaleMistakes(m Model) []Hypothesis {
	d := m.Dims
	right := m.Right.ScoreScale
	var out []Hypothesis
	seen := []float64{right}
	scale := func(id, title, fix string, by float64) {
		for _, s := range seen {
			if math.Abs(by-s) <= oracle.UnitF32*math.Abs(s) {
				return // the same number under another name
			}
		}
		seen = append(seen, by)
		out = append(out, Hypothesis{ID: id, Aspect: "scale", Taps: softMaxTaps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) { s.ScoreScale = by })})
	}
	fix := fmt.Sprintf("Scale scores by 1/sqrt(head_dim) = 1/sqrt(%d) = %.6g, once, before the softmax.", d.D, right)
	root := func(n int) float64 { return 1 / math.Sqrt(float64(n)) }
	scale("scale-missing", "scores enter the softmax without 1/sqrt(head_dim)", fix, 1)
	scale("scale-over-head-dim", "scores are divided by head_dim instead of its square root", fix, right*right)
	scale("scale-over-sqrt-width", "the scale is 1/sqrt(n_embd), not 1/sqrt(head_dim)", fix, root(d.E))
	scale("scale-times-sqrt-head-dim", "scores are multiplied by sqrt(head_dim)", fix, 1/right)
	scale("scale-over-sqrt-kv-width", "the scale is one over the root of the KV width, not of head_dim", fix, root(d.G*d.D))
	scale("scale-over-sqrt-half-head-dim", "the scale is 1/sqrt(head_dim/2)", fix, root(d.D/2))
	scale("scale-times-head-dim", "scores are multiplied by head_dim", fix, float64(d.D))
	scale("scale-over-sqrt-heads", "the scale is 1/sqrt(n_head), not 1/sqrt(head_dim)", fix, root(d.H))
	scale("scale-over-sqrt-kv-heads", "the scale is 1/sqrt(n_head_kv), not 1/sqrt(head_dim)", fix, root(d.G))
	scale("scale-over-sqrt-heads-width", "the scale is one over the root of the query width", fix, root(d.H*d.D))
	scale("scale-over-width", "scores are divided by n_embd", fix, 1/float64(d.E))
	scale("scale-negative", "the scale is negative", fix, -right)
	scale("scale-for-base-2", "the exponential is to base e, the scale is that for base 2: log2(e)/sqrt(head_dim)", "Use exp2f with that scale, or expf without log2(e).", right*math.Log2E)
	scale("exp2-without-log2e", "the exponential is to base 2, the scale has no log2(e)", "exp(x) is exp2(x * log2(e)): fold log2(e) into the scale, or use expf.", right*math.Ln2)
	scale("exp2-of-raw-scores", "the exponential is to base 2 and the scores are not scaled", fix, math.Ln2)
	scale("scale-halved", "the scale is half of 1/sqrt(head_dim)", fix, right/2)
	scale("scale-doubled", "the scale is twice 1/sqrt(head_dim)", fix, right*2)
	for _, n := range []int{128, 256, 96, 80, 64, 32} {
		scale(fmt.Sprintf("scale-over-sqrt-%d", n), fmt.Sprintf("the scale is 1/sqrt(%d), another model's head_dim", n), fix, root(n))
	}
	return out
}

// normaliserMistakes are the mistakes people make in the maximum, the
// exponential and the sum.
func normaliserMistakes(m Model) []Hypothesis {
	change := func(aspect, id, title, fix string, f func(*oracle.Semantics)) Hypothesis {
		return Hypothesis{ID: id, Aspect: aspect, Taps: softMaxTaps, Title: title, Fix: fix, Variant: semantic(f)}
	}
	f32Exp := func(x float64) float64 { return float64(float32(math.Exp(x))) }
	f32Sum := func(sum float64) float64 { return float64(float32(sum)) }
	peak := "Subtract the row's maximum of the scaled scores before the exponential."
	narrow := func(r rounding) []Hypothesis {
		return []Hypothesis{
			change("normaliser", "softmax-sum-in-"+r.name, "the row's sum is rounded to "+r.name+" before the division", "Keep the sum in f32.",
				func(s *oracle.Semantics) { s.Normaliser = r.to }),
			change("exp", "softmax-exp-in-"+r.name, "exponentials are rounded to "+r.name, "Keep the exponentials in f32.",
				func(s *oracle.Semantics) { s.Exp = func(x float64) float64 { return r.to(math.Exp(x)) } }),
			{ID: "softmax-of-scores-in-" + r.name, Aspect: "score type", Taps: softMaxTaps, Title: "scores are rounded to " + r.name + " before the softmax",
				Fix:     "Keep scores in f32.",
				Variant: feeds(tap.KQ, func(x oracle.Rows, _ tap.Dims) oracle.Rows { return r.apply(x) })},
		}
	}
	out := []Hypothesis{
		change("peak", "softmax-without-max", "exponentials are taken without subtracting the row's maximum and overflow", peak,
			func(s *oracle.Semantics) {
				s.Peak, s.Exp, s.Normaliser = func(_, _ float64) float64 { return 0 }, f32Exp, f32Sum
			}),
		change("peak", "softmax-unscaled-max", "the maximum subtracted is that of the raw scores, and exponentials underflow", peak,
			func(s *oracle.Semantics) {
				s.Peak, s.Exp, s.Normaliser = func(_, raw float64) float64 { return raw }, f32Exp, f32Sum
			}),
		change("peak", "softmax-unscaled-max-flushed", "the maximum subtracted is that of the raw scores, and exponentials underflow to zero", peak,
			func(s *oracle.Semantics) {
				s.Peak, s.Normaliser = func(_, raw float64) float64 { return raw }, f32Sum
				s.Exp = func(x float64) float64 {
					if e := f32Exp(x); e >= 0x1p-126 {
						return e
					}
					return 0
				}
			}),
		change("normaliser", "softmax-not-normalised", "exponentials are not divided by their sum", "Divide each row by its sum.",
			func(s *oracle.Semantics) { s.Normaliser = func(float64) float64 { return 1 } }),
		change("normaliser", "softmax-plus-one", "the sum has one added to it", "Divide by the sum alone.",
			func(s *oracle.Semantics) { s.Normaliser = func(sum float64) float64 { return sum + 1 } }),
		change("normaliser", "softmax-eps-1e-6", "the sum has 1e-6 added to it", "Divide by the sum alone: it is at least 1.",
			func(s *oracle.Semantics) { s.Normaliser = func(sum float64) float64 { return sum + 1e-6 } }),
		change("normaliser", "softmax-root-of-sum", "exponentials are divided by the root of their sum", "Divide by the sum.",
			func(s *oracle.Semantics) { s.Normaliser = math.Sqrt }),
		approximate(change("exp", "softmax-exp-first-order", "the exponential is replaced by (1 + x/256)^256", "Use expf or __expf.",
			func(s *oracle.Semantics) { s.Exp = func(x float64) float64 { return math.Pow(1+x/256, 256) } }), 256),
		{ID: "softmax-left-out", Aspect: whole, Taps: softMaxTaps, Title: "the softmax is left out: raw scores are passed on", Fix: "Apply the softmax to each row of scores.",
			Variant: holds(func(of tap.Key) tap.Key { return tap.At(of.Step, of.Layer, tap.KQ) })},
		{ID: "softmax-log", Aspect: "after", Taps: softMaxTaps, Title: "logarithms of the probabilities are passed on", Fix: "Use softmax, not log-softmax.",
			Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows {
				return mapped(y, func(_ int, p float64) float64 { return math.Log(p) })
			})},
		{ID: "softmax-of-layer-before", Aspect: "input", Taps: softMaxTaps, Title: "the layer before's scores are read", Fix: "Read this layer's scores.",
			Variant: reads(layersBack(1))},
	}
	for _, r := range roundings {
		out = append(out, narrow(r)...)
	}
	return append(append(out, sumMistakes()...), axisMistakes(m)...)
}
