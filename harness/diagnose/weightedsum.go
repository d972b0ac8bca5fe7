package diagnose

import (
	"fmt"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

var kqvTaps = []tap.Tap{tap.KQV}

// weightedSumMistakes are the mistakes people make in p.V and in merging the
// heads, beside the head map.
func weightedSumMistakes(m Model) []Hypothesis {
	out := weightedSumInputMistakes()
	for _, h := range cacheReadMistakes(m, tap.VCache, kqvTaps, "values", "values") {
		out = append(out, solved(h))
	}
	out = append(out, probabilityMistakes(m)...)
	out = append(out, mergeMistakes(m)...)
	out = append(out, accumulations(kqvTaps)...)
	for _, r := range roundings {
		for _, in := range []struct {
			tap  tap.Tap
			name string
		}{{tap.KQSoftMax, "probabilities"}, {tap.VCache, "values"}} {
			out = append(out, Hypothesis{ID: in.name + "-in-" + r.name, Aspect: in.name + " type", Taps: kqvTaps,
				Title: in.name + " are rounded to " + r.name + " before the weighted sum", Fix: "Stage operands in f32.",
				Variant: feeds(in.tap, func(x oracle.Rows, _ tap.Dims) oracle.Rows { return r.apply(x) })})
		}
	}
	return out
}

// weightedSumInputMistakes weigh other tensors, or with others.
func weightedSumInputMistakes() []Hypothesis {
	input := func(aspect, id, title, fix string, meant tap.Tap, other func(of, in tap.Key) tap.Key) Hypothesis {
		return Hypothesis{ID: id, Aspect: aspect, Taps: kqvTaps, Title: title, Fix: fix, Variant: readsFor(meant, other)}
	}
	offset := "Offset the cache by layer * capacity * n_head_kv * head_dim, with this op's own layer."
	return []Hypothesis{
		input("values", "values-of-layer-before", "the values of the layer before are weighed", offset, tap.VCache, layersBack(1)),
		input("values", "values-of-layer-0", "every layer weighs the values of layer 0", offset, tap.VCache,
			func(_, in tap.Key) tap.Key { return tap.At(in.Step, 0, in.Tap) }),
		input("values", "values-are-keys", "the weighted sum reads the K cache", "Check the order of the K and V pointers in the call.", tap.VCache, tapOf(tap.KCache)),
		solved(Hypothesis{ID: "values-before-cache-write", Aspect: "values", Taps: kqvTaps, Fitted: true, Title: "a step's values reach the cache only after they are weighed",
			Fix: "Write the cache before the weighted sum, on the same stream.",
			Variant: feeds(tap.VCache, func(x oracle.Rows, d tap.Dims) oracle.Rows {
				return undefinedWhere(x, func(i int) bool { return i >= d.P*d.G*d.D })
			})}),
		input("weights", "weighed-by-scores", "values are weighed by raw scores, not by probabilities", "Read kq_soft_max.", tap.KQSoftMax, tapOf(tap.KQ)),
		input("weights", "weighed-by-layer-before", "values are weighed by the layer before's probabilities", "Read this layer's kq_soft_max.", tap.KQSoftMax, layersBack(1)),
	}
}

// probabilityMistakes read probabilities [H,T,C] in another order, or only
// some of them.
func probabilityMistakes(m Model) []Hypothesis {
	heads := m.Dims.H
	var out []Hypothesis
	order := func(id, title string, at func(h, t, c, n, cells int) int) {
		out = append(out, Hypothesis{ID: id, Aspect: "weights", Taps: kqvTaps, Title: title, Fix: "Probability (h,t,c) lies at (h*T + t)*C + c.",
			Variant: feeds(tap.KQSoftMax, func(x oracle.Rows, d tap.Dims) oracle.Rows {
				n, cells := d.T, d.C()
				return permuted(x, func(i int) int { return at(i/cells/n, i/cells%n, i%cells, n, cells) })
			})})
	}
	order("probabilities-tokens-outermost", "probabilities are read as [T,H,C] although they are stored [H,T,C]",
		func(h, t, c, _, cells int) int { return (t*heads+h)*cells + c })
	order("probabilities-transposed", "probabilities are read as [H,C,T] although they are stored [H,T,C]",
		func(h, t, c, n, cells int) int { return (h*cells+c)*n + t })
	order("probabilities-heads-reversed", "probabilities are read last head first",
		func(h, t, c, n, cells int) int { return ((heads-1-h)*n+t)*cells + c })
	order("probabilities-of-first-head", "every head is weighed by head 0's probabilities",
		func(_, t, c, n, cells int) int { return t*cells + c })
	order("probabilities-row-stride-of-tokens", "rows of probabilities are taken to lie T apart instead of C",
		func(h, t, c, n, _ int) int { return (h*n+t)*n + c })
	order("probabilities-one-column-ahead", "position c is weighed by the probability of c+1",
		func(h, t, c, n, cells int) int { return (h*n+t)*cells + c + 1 })
	order("probabilities-of-first-token", "every token is weighed by the first one's probabilities",
		func(h, _, c, n, cells int) int { return h*n*cells + c })
	weighed := func(id, title string, in func(c, past, cells int) bool) {
		out = append(out, Hypothesis{ID: id, Aspect: "positions", Taps: kqvTaps, Title: title, Fix: "The sum runs over all C positions.",
			Variant: feeds(tap.KQSoftMax, func(x oracle.Rows, d tap.Dims) oracle.Rows {
				return zeroWhere(x, func(i int) bool { return !in(i%d.C(), d.P, d.C()) })
			})})
	}
	weighed("values-without-last-position", "the last position is left out of the sum", func(c, _, cells int) bool { return c+1 < cells })
	weighed("values-without-first-position", "position 0 is left out of the sum", func(c, _, _ int) bool { return c > 0 })
	weighed("values-of-this-step-only", "the sum runs over this step's positions only", func(c, past, _ int) bool { return c >= past })
	weighed("values-of-earlier-steps-only", "the sum runs over earlier steps' positions only", func(c, past, _ int) bool { return c < past })
	for _, b := range []int{256, 128, 64, 32, 16, 8, 512} {
		weighed(fmt.Sprintf("values-of-first-%d", b), fmt.Sprintf("the sum runs over the first %d positions only", b), func(c, _, _ int) bool { return c < b })
		weighed(fmt.Sprintf("values-of-whole-tiles-of-%d", b), fmt.Sprintf("positions in the last, partial tile of %d are left out of the sum", b),
			func(c, _, cells int) bool { return c < cells/b*b })
	}
	weighed("values-of-every-second-position", "the sum runs over every second position", func(c, _, _ int) bool { return c%2 == 0 })
	barrier := "Put __syncthreads() between filling the tile of probabilities and reading it."
	return append(out,
		Hypothesis{ID: "probabilities-barrier-missing", Aspect: "coverage", Taps: kqvTaps,
			Title: "probabilities are read from shared memory before all threads have written theirs", Fix: barrier,
			Variant: yields(func(y oracle.Rows, d tap.Dims) oracle.Rows {
				return undefinedWhere(y, func(i int) bool { return i%d.D+1 < min(d.C(), d.D) })
			})},
		Hypothesis{ID: "probabilities-barrier-missing-between-warps", Aspect: "coverage", Taps: kqvTaps,
			Title: "probabilities are read from shared memory before later warps have written theirs", Fix: barrier,
			Variant: yields(func(y oracle.Rows, d tap.Dims) oracle.Rows {
				return undefinedWhere(y, func(i int) bool { return i%d.D/warp*warp+warp < min(d.C(), d.D) })
			})},
		Hypothesis{ID: "probabilities-squared", Aspect: "weights", Taps: kqvTaps, Title: "probabilities enter squared", Fix: "Multiply by the probability once.",
			Variant: feeds(tap.KQSoftMax, func(x oracle.Rows, _ tap.Dims) oracle.Rows {
				return mapped(x, func(_ int, p float64) float64 { return p * p })
			})},
		Hypothesis{ID: "values-averaged", Aspect: "after", Taps: kqvTaps, Title: "the sum is divided by the number of positions",
			Fix:     "Probabilities sum to 1 already.",
			Variant: yields(func(y oracle.Rows, d tap.Dims) oracle.Rows { return multiplied(y, 1/float64(d.C())) })},
		Hypothesis{ID: "values-scaled-by-score-scale", Aspect: "after", Taps: kqvTaps, Title: "the sum is scaled by 1/sqrt(head_dim)",
			Fix:     "The scale belongs to the scores.",
			Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows { return multiplied(y, m.Right.ScoreScale) })})
}

// mergeMistakes write the heads [T,H,D] in another order.
func mergeMistakes(m Model) []Hypothesis {
	d := m.Dims
	order := func(id, title string, to func(t, h, i, n int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "merge", Taps: kqvTaps, Title: title, Fix: "Write (t,h,d) at (t*H + h)*D + d, as the output projection reads it.",
			Variant: yields(func(y oracle.Rows, now tap.Dims) oracle.Rows {
				return scattered(y, func(i int) int { return to(i/d.D/d.H, i/d.D%d.H, i%d.D, now.T) })
			})}
	}
	per := d.H / d.G
	return []Hypothesis{
		order("merge-heads-outermost", "the weighted sum is written [H,T,D] instead of [T,H,D]: the transpose that merges heads is missing",
			func(t, h, i, n int) int { return (h*n+t)*d.D + i }),
		order("merge-dims-before-heads", "a token's heads are interleaved dim by dim, [D,H] instead of [H,D]",
			func(t, h, i, _ int) int { return (t*d.D+i)*d.H + h }),
		order("merge-heads-reversed", "heads are concatenated last one first", func(t, h, i, _ int) int { return (t*d.H+d.H-1-h)*d.D + i }),
		order("merge-groups-interleaved", "heads are concatenated by their place in the group: [H/G,G] instead of [G,H/G]",
			func(t, h, i, _ int) int { return (t*d.H+h%per*d.G+h/per)*d.D + i }),
		order("merge-groups-concatenated", "heads are taken to be interleaved by group: [G,H/G] instead of [H/G,G]",
			func(t, h, i, _ int) int { return (t*d.H+h%d.G*per+h/d.G)*d.D + i }),
		order("merge-dims-outermost", "the weighted sum is written [H,D,T] instead of [T,H,D]", func(t, h, i, n int) int { return (h*d.D+i)*n + t }),
		order("merge-tokens-innermost-of-heads", "the weighted sum is written [D,H,T] instead of [T,H,D]", func(t, h, i, n int) int { return (i*d.H+h)*n + t }),
		order("merge-tokens-reversed", "tokens are written last one first", func(t, h, i, n int) int { return ((n-1-t)*d.H+h)*d.D + i }),
	}
}
