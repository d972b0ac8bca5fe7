package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// productMistakes are mistakes in what a projection does with its result.
func productMistakes(m Model) []Hypothesis {
	d := m.Dims
	out := append(outputOrderMistakes(m), betaMistakes(m)...)
	alpha := func(id, title string, by float64) {
		out = append(out, Hypothesis{ID: id, Aspect: "scale", Taps: projectionTaps, Title: title,
			Fix: "alpha is 1 for every projection.", Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows { return multiplied(y, by) })})
	}
	alpha("alpha-is-score-scale", "the product is scaled by 1/sqrt(head_dim)", m.Right.ScoreScale)
	alpha("alpha-is-one-over-sqrt-width", "the product is scaled by 1/sqrt(n_embd)", 1/math.Sqrt(float64(d.E)))
	alpha("alpha-is-one-over-head-dim", "the product is scaled by 1/head_dim", 1/float64(d.D))
	alpha("alpha-is-sqrt-head-dim", "the product is scaled by sqrt(head_dim)", math.Sqrt(float64(d.D)))
	out = append(out,
		Hypothesis{ID: "projection-left-out", Aspect: whole, Taps: []tap.Tap{tap.AttnOut},
			Title: "the output projection is left out: kqv is passed on", Fix: "Multiply the merged heads by attn_output.weight.",
			Variant: holds(func(of tap.Key) tap.Key { return tap.At(of.Step, of.Layer, tap.KQV) })},
		Hypothesis{ID: "output-written-over-input", Aspect: whole, Taps: projectionTaps,
			Title: "the product's result is zero: its buffer was cleared while it still held the input",
			Fix:   "A product cannot be done in place: give the output a buffer of its own.",
			Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows {
				return zeroWhere(y, func(int) bool { return true })
			})},
		Hypothesis{ID: "silu-applied-early", Aspect: "scale", Taps: []tap.Tap{tap.FFNGate},
			Title: "the gate already holds silu(gate)", Fix: "Apply the activation once, in the SwiGLU.",
			Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows {
				return mapped(y, func(_ int, v float64) float64 { return oracle.SiLU(v) })
			})},
		Hypothesis{ID: "logits-softcapped", Aspect: "scale", Taps: []tap.Tap{tap.ResultOutput},
			Title: "logits are capped by 30 tanh(x/30)", Fix: "Qwen2 has no cap on its logits; Gemma has.",
			Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows {
				return mapped(y, func(_ int, v float64) float64 { return 30 * math.Tanh(v/30) })
			})},
		Hypothesis{ID: "logits-are-probabilities", Aspect: "scale", Taps: []tap.Tap{tap.ResultOutput},
			Title: "the logits are passed through a softmax", Fix: "Return the raw logits; the sampler applies the softmax.",
			Variant: yields(probabilities)})
	return out
}

// probabilities is the softmax of each row.
func probabilities(y oracle.Rows, d tap.Dims) oracle.Rows {
	width := len(y.V) / max(d.T, 1)
	out := mapped(y, func(_ int, v float64) float64 { return v })
	for lo := 0; lo < len(out.V); lo += width {
		row := out.V[lo : lo+width]
		peak, sum := math.Inf(-1), 0.0
		for _, v := range row {
			peak = math.Max(peak, v)
		}
		for i, v := range row {
			row[i] = math.Exp(v - peak)
			sum += row[i]
		}
		for i := range row {
			row[i] /= sum
		}
	}
	return out
}

// outputOrderMistakes write the result in another order.
func outputOrderMistakes(m Model) []Hypothesis {
	var out []Hypothesis
	order := func(id, title, fix string, to func(t, j, tokens, width int) int) {
		out = append(out, Hypothesis{ID: id, Aspect: "output order", Taps: projectionTaps, Title: title, Fix: fix,
			Variant: yields(func(y oracle.Rows, now tap.Dims) oracle.Rows {
				width := len(y.V) / max(now.T, 1)
				return scattered(y, func(i int) int { return to(i/width, i%width, now.T, width) })
			})})
	}
	order("output-transposed", "the result is written [channels, tokens] instead of [tokens, channels]",
		"cuBLAS writes column-major: compute W x with m = out, n = tokens and ldc = out to get [tokens, out] row-major.",
		func(t, j, tokens, _ int) int { return j*tokens + t })
	order("output-one-token-late", "row t holds the result of token t-1", "Row t of the result is token t of the step.",
		func(t, j, _, w int) int { return (t+1)*w + j })
	order("output-one-token-early", "row t holds the result of token t+1", "Row t of the result is token t of the step.",
		func(t, j, _, w int) int { return (t-1)*w + j })
	order("output-tokens-reversed", "tokens are written last one first", "Row t of the result is token t of the step.",
		func(t, j, n, w int) int { return (n-1-t)*w + j })
	for _, ld := range modelWidths(m) {
		order(fmt.Sprintf("output-ldc-%d", ld), fmt.Sprintf("rows of the result are written %d elements apart", ld),
			"The leading dimension of the result is the number of output channels.",
			func(t, j, _, _ int) int { return t*ld + j })
		out[len(out)-1].Taps = projectionsWhere(m, func(_, width int) bool { return width != ld })
	}
	return out
}

// betaMistakes add the result to what its buffer held, or to a tensor that is
// added again later.
func betaMistakes(m Model) []Hypothesis {
	layered := projectionTaps[:len(projectionTaps)-1]
	beta := func(id, title, fix string, taps []tap.Tap, v oracle.Variant) Hypothesis {
		return Hypothesis{ID: id, Aspect: "beta", Taps: taps, Title: title, Fix: fix, Variant: v}
	}
	clear := "beta is 0: the result replaces what the buffer held."
	return []Hypothesis{
		beta("beta-adds-layer-before", "the product is added to the layer before's, which its buffer held", clear, layered,
			adds(func(of tap.Key) tap.Key { return tap.At(of.Step, layerOrNone(of.Layer-1), of.Tap) })),
		beta("beta-adds-what-the-buffer-held", "the product is added to the last one that its buffer held: the layer before's, in layer 0 the last step's",
			clear, layered, adds(func(of tap.Key) tap.Key { return ranBefore(of, m.Layers) })),
		beta("beta-adds-step-before", "the product is added to the step before's, which its buffer held", clear, projectionTaps,
			adds(func(of tap.Key) tap.Key { return tap.At(of.Step-1, of.Layer, of.Tap) })),
		beta("residual-added-early", "the product already holds the residual, which is added once more later",
			"Add the residual once: in the product (beta = 1) or in the add, not in both.", []tap.Tap{tap.AttnOut},
			adds(func(of tap.Key) tap.Key { return stream(of.Step, of.Layer) })),
		beta("residual-added-early", "the product already holds the residual, which is added once more later",
			"Add the residual once: in the product (beta = 1) or in the add, not in both.", []tap.Tap{tap.FFNOut},
			adds(func(of tap.Key) tap.Key { return tap.At(of.Step, of.Layer, tap.FFNInp) })),
		beta("bias-added-early", "the product already holds the bias, which is added once more later",
			"Add the bias once: in the product's epilogue or in its own op, not in both.",
			[]tap.Tap{tap.QProj, tap.KProj, tap.VProj},
			addsBias(m)),
	}
}

// ranBefore is the same op's run before this one: the layer before's or, in
// layer 0, the last layer's of the step before.
func ranBefore(of tap.Key, layers int) tap.Key {
	if of.Layer > 0 {
		return tap.At(of.Step, of.Layer-1, of.Tap)
	}
	return tap.At(of.Step-1, layers-1, of.Tap)
}
