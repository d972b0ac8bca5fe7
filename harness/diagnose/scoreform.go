package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// scoreFormMistakes put something between the scaled scores and the softmax
// that other models have there and Qwen2 has not: a cap, a slope, a finite mask.
func scoreFormMistakes(m Model) []Hypothesis {
	scale := m.Right.ScoreScale
	form := func(aspect, id, title, fix string, v oracle.Variant) Hypothesis {
		return Hypothesis{ID: id, Aspect: aspect, Taps: softMaxTaps, Title: title, Fix: fix, Variant: v}
	}
	// shaped changes each scaled score z of head h, token t, position c.
	shaped := func(f func(z float64, d tap.Dims, h, t, c int) float64) oracle.Variant {
		return feeds(tap.KQ, func(x oracle.Rows, d tap.Dims) oracle.Rows {
			return mapped(x, func(i int, v float64) float64 {
				cells := d.C()
				return f(scale*v, d, i/cells/d.T, i/cells%d.T, i%cells) / scale
			})
		})
	}
	var out []Hypothesis
	for _, limit := range []float64{50, 30, 20} {
		out = append(out, form("cap", fmt.Sprintf("scores-capped-at-%g", limit), fmt.Sprintf("scaled scores pass through %g tanh(z/%g)", limit, limit),
			"The soft cap is Gemma 2's; Qwen2 has none.",
			shaped(func(z float64, _ tap.Dims, _, _, _ int) float64 { return limit * math.Tanh(z/limit) })))
	}
	out = append(out,
		form("slope", "scores-with-alibi", "scores fall with distance by a slope per head (ALiBi)",
			"Qwen2 has RoPE for positions: pass a maximal bias of 0.",
			shaped(func(z float64, d tap.Dims, h, t, c int) float64 {
				return z - math.Exp2(-8*float64(h+1)/float64(d.H))*float64(d.P+t-c)
			})),
		form("scale", "scale-over-sqrt-positions", "the scale is one over the root of the number of positions, not of head_dim",
			fmt.Sprintf("Scale scores by 1/sqrt(head_dim) = %.6g.", scale),
			shaped(func(z float64, d tap.Dims, _, _, _ int) float64 { return z / scale / math.Sqrt(float64(d.C())) })))
	hidden := "Set masked scores to -Inf before the softmax, or leave them out of its sums."
	for _, v := range []float64{-1, -10, -100, -1000, -1e4} {
		out = append(out,
			form("mask", fmt.Sprintf("masked-scores-%g-lower", -v), fmt.Sprintf("masked scores have %g added instead of being hidden, which leaves them a probability", v), hidden,
				oracle.Variant{
					Semantics: func(_ tap.Key, s *oracle.Semantics) { s.Visible = func(int, int, int) bool { return true } },
					Feed: func(_, _ tap.Key, x oracle.Rows, d tap.Dims) oracle.Rows {
						return mapped(x, func(i int, kq float64) float64 {
							if m.Right.Visible(d.P, i/d.C()%d.T, i%d.C()) {
								return kq
							}
							return kq + v/scale
						})
					}}),
			form("mask", fmt.Sprintf("masked-scores-are-%g", v), fmt.Sprintf("masked scores are %g instead of -Inf", v), hidden,
				semantic(func(s *oracle.Semantics) { s.Masked = v })))
	}
	return append(out, paddingMistakes(scale)...)
}

// paddingMistakes let the rest of a row's last tile into the softmax: keys of
// zeros, whose score is 0, or the last key again.
func paddingMistakes(scale float64) []Hypothesis {
	padded := func(id, title, fix string, f func(p, kq []float64, cells int) []float64) Hypothesis {
		return Hypothesis{ID: id, Aspect: "padding", Taps: softMaxTaps, Title: title, Fix: fix,
			Variant: oracle.Variant{Result: func(of tap.Key, y oracle.Rows, d tap.Dims, fetch oracle.Fetch) (oracle.Rows, error) {
				kq, err := fetch(tap.At(of.Step, of.Layer, tap.KQ))
				if err != nil || len(kq.V) != len(y.V) {
					return oracle.Rows{}, oracle.ErrNotApplicable
				}
				out := noisier(mapped(y, func(_ int, p float64) float64 { return p }), 8*f32)
				for r := range y.N {
					row := f(y.Row(r), kq.Row(r), d.C())
					if !finite(row[0]) && finite(y.Row(r)[0]) || !finite(y.Row(r)[largest(y.Row(r))]) {
						return oracle.Rows{}, oracle.ErrNotApplicable // says nothing, which is no claim
					}
					copy(out.Row(r), row)
				}
				return out, nil
			}}}
	}
	// zeros divides a row again by what n columns of score 0 add to its sum.
	zeros := func(p, kq []float64, n int) []float64 {
		top := largest(p)
		extra := float64(n) * p[top] * math.Exp(-scale*kq[top])
		return rescaled(p, 1/(1+extra))
	}
	bound := "Hide the columns from C on: their scores are -Inf."
	out := []Hypothesis{padded("softmax-with-sink", "the sum has a column of score 0 added to it, which takes a share of every row (an attention sink)",
		"Divide by the sum over the columns alone.", func(p, kq []float64, _ int) []float64 { return zeros(p, kq, 1) })}
	for _, tile := range []int{64, 32, 128, 16, 256} {
		rest := func(cells int) int { return (tile - cells%tile) % tile }
		out = append(out,
			padded(fmt.Sprintf("padding-of-%d-counts-as-zeros", tile), fmt.Sprintf("columns are padded with zeros to a multiple of %d and take part in the softmax", tile), bound,
				func(p, kq []float64, cells int) []float64 { return zeros(p, kq, rest(cells)) }),
			padded(fmt.Sprintf("padding-of-%d-repeats-last", tile), fmt.Sprintf("columns are padded to a multiple of %d by reading the last one again, and take part in the softmax", tile), bound,
				func(p, _ []float64, cells int) []float64 {
					n := float64(rest(cells))
					q := rescaled(p, 1/(1+n*p[cells-1]))
					q[cells-1] *= 1 + n
					return q
				}))
	}
	return append(out,
		padded("softmax-normalised-twice", "probabilities are divided by their sum twice", "Divide once.",
			func(p, _ []float64, _ int) []float64 { return rescaled(p, p[largest(p)]) }),
		padded("softmax-divided-by-positions", "exponentials are divided by the number of positions instead of their sum", "Divide each row by its own sum.",
			func(p, _ []float64, cells int) []float64 { return rescaled(p, 1/(p[largest(p)]*float64(cells))) }))
}

// largest is the index of a row's largest element, whose exponential is 1.
func largest(p []float64) int {
	top := 0
	for c, v := range p {
		if v > p[top] {
			top = c
		}
	}
	return top
}

// rescaled is a row times a factor.
func rescaled(p []float64, by float64) []float64 {
	q := make([]float64, len(p))
	for c, v := range p {
		q[c] = by * v
	}
	return q
}
