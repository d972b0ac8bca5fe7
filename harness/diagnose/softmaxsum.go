package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// sumMistakes leave columns out of the sum, or let too many in.
func sumMistakes() []Hypothesis {
	summed := func(id, title, fix string, in func(p, c, cells int) bool) Hypothesis {
		return Hypothesis{ID: id, Aspect: "sum", Taps: softMaxTaps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) {
				visible := s.Visible
				s.Summed = func(past, t, c, cells int) bool { return visible(past, t, c) && in(past+t, c, cells) }
			})}
	}
	all := "Every thread adds all of its exponentials before the sum is taken."
	out := []Hypothesis{
		{ID: "softmax-masked-afterwards", Aspect: "sum", Taps: softMaxTaps, Title: "the sum runs over masked columns too, which are zeroed after the division",
			Fix: "Mask before the exponential, so that masked columns add nothing to the sum.",
			Variant: semantic(func(s *oracle.Semantics) {
				s.Summed = func(int, int, int, int) bool { return true }
			})},
		summed("softmax-sum-without-last-column", "the sum leaves out the last visible column", all, func(p, c, _ int) bool { return c != p }),
		summed("softmax-sum-without-first-column", "the sum leaves out column 0", all, func(_, c, _ int) bool { return c != 0 }),
	}
	for _, b := range blockSizes {
		out = append(out,
			summed(fmt.Sprintf("softmax-sum-without-last-thread-of-%d", b), fmt.Sprintf("the sum leaves out the last of %d threads", b), all,
				func(_, c, _ int) bool { return c%b != b-1 }),
			summed(fmt.Sprintf("softmax-sum-without-first-thread-of-%d", b), fmt.Sprintf("the sum leaves out the first of %d threads", b), all,
				func(_, c, _ int) bool { return c%b != 0 }),
			summed(fmt.Sprintf("softmax-sum-of-whole-blocks-of-%d", b), fmt.Sprintf("the sum leaves out columns beyond the last whole block of %d", b), all,
				func(p, c, _ int) bool { return c < (p+1)/b*b }),
			summed(fmt.Sprintf("softmax-sum-of-first-%d", b), fmt.Sprintf("the sum covers the first %d columns", b), all,
				func(_, c, _ int) bool { return c < b }))
		if b >= 2*warp {
			out = append(out,
				summed(fmt.Sprintf("softmax-sum-without-last-warp-of-%d", b), fmt.Sprintf("the sum leaves out the last warp of %d threads", b), all,
					func(_, c, _ int) bool { return c%b/warp != b/warp-1 }),
				summed(fmt.Sprintf("softmax-sum-of-first-warp-of-%d", b), fmt.Sprintf("the sum is that of the first warp of %d threads alone", b), all,
					func(_, c, _ int) bool { return c%b/warp == 0 }))
		}
	}
	for _, lane := range []int{16, 1, 8, 4, 2} {
		out = append(out, summed(fmt.Sprintf("softmax-shuffle-without-%d", lane),
			fmt.Sprintf("lanes do not add up over the offset %d: half of each warp is left out", lane),
			"Shuffle over the offsets 16, 8, 4, 2 and 1.", func(_, c, _ int) bool { return c&lane == 0 }))
	}
	return out
}

// axisMistakes normalise over another axis than positions.
func axisMistakes(m Model) []Hypothesis {
	axis := func(id, title string, group func(h, t, c, tokens, cells int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: whole, Taps: softMaxTaps, Title: title, Fix: "Each row (head, token) sums to 1 over positions.",
			Variant: oracle.Variant{Result: func(of tap.Key, y oracle.Rows, d tap.Dims, fetch oracle.Fetch) (oracle.Rows, error) {
				kq, err := fetch(tap.At(of.Step, of.Layer, tap.KQ))
				if err != nil || len(kq.V) != len(y.V) {
					return oracle.Rows{}, oracle.ErrNotApplicable
				}
				return softMaxOver(kq, y, func(i int) (int, bool) {
					h, t, c := i/d.C()/d.T, i/d.C()%d.T, i%d.C()
					return group(h, t, c, d.T, d.C()), m.Right.Visible(d.P, t, c)
				}, m.Right.ScoreScale), nil
			}}}
	}
	return []Hypothesis{
		axis("softmax-over-heads", "probabilities are normalised over heads", func(_, t, c, _, cells int) int { return t*cells + c }),
		axis("softmax-over-tokens", "probabilities are normalised over tokens", func(h, _, c, _, cells int) int { return h*cells + c }),
		axis("softmax-over-head", "probabilities are normalised over all tokens and positions of a head", func(h, _, _, _, _ int) int { return h }),
	}
}

// softMaxOver is a softmax over groups of visible elements; others are 0. The
// noise is that of the right op, relative to the value.
func softMaxOver(kq, right oracle.Rows, group func(i int) (g int, visible bool), scale float64) oracle.Rows {
	peak, sum := map[int]float64{}, map[int]float64{}
	for i, v := range kq.V {
		if g, ok := group(i); ok {
			if top, seen := peak[g]; !seen || scale*v > top {
				peak[g] = scale * v
			}
		}
	}
	for i, v := range kq.V {
		if g, ok := group(i); ok {
			sum[g] += math.Exp(scale*v - peak[g])
		}
	}
	y := oracle.NewRows(right.N, right.Width)
	for i, v := range kq.V {
		if g, ok := group(i); ok {
			y.V[i] = math.Exp(scale*v-peak[g]) / sum[g]
			y.Noise[i] = right.Noise[i] / (right.V[i] * right.V[i]) * y.V[i] * y.V[i]
		}
	}
	return y
}
