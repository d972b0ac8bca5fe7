package diagnose

import (
	"fmt"
	"strings"

	"attndiff/harness/oracle"
	"attndiff/traces/half"
	"attndiff/traces/tap"
)

// hyphened is a tap's name as IDs spell it.
func hyphened(t tap.Tap) string { return strings.ReplaceAll(t.String(), "_", "-") }

// operandMistakes are mistakes in which activations enter a projection and how
// they are read.
func operandMistakes(m Model) []Hypothesis {
	return append(append(inputTapMistakes(m), inputRowMistakes(m)...), inputWidthMistakes(m)...)
}

// inputTapMistakes read another recording of the step.
func inputTapMistakes(m Model) []Hypothesis {
	var out []Hypothesis
	input := func(id, title string, taps []tap.Tap, other func(of, in tap.Key) tap.Key) {
		out = append(out, Hypothesis{ID: id, Aspect: "input", Taps: taps, Title: title,
			Fix: "Q, K and V read attn_norm; the output projection kqv; gate and up ffn_norm; down ffn_swiglu; the logits result_norm. " +
				"Check the input pointer of this product.",
			Variant: reads(other)})
	}
	other := func(t tap.Tap, taps ...tap.Tap) {
		input("input-is-"+hyphened(t), "the product reads "+t.String(), taps, tapOf(t))
	}
	qkv := []tap.Tap{tap.QProj, tap.KProj, tap.VProj}
	gateUp := []tap.Tap{tap.FFNGate, tap.FFNUp}
	input("input-is-raw-stream", "the product reads the stream before its norm", qkv, streamOf)
	input("input-is-raw-stream", "the product reads the stream before its norm", gateUp, tapOf(tap.FFNInp))
	input("input-is-raw-stream", "the logits are computed from the stream before the final norm", []tap.Tap{tap.ResultOutput},
		func(of, _ tap.Key) tap.Key { return stream(of.Step, m.Layers) })
	input("input-is-stream-before-attention", "the product reads the stream from before attention", gateUp, streamOf)
	other(tap.AttnNorm, tap.FFNGate, tap.FFNUp, tap.AttnOut)
	other(tap.AttnOut, gateUp...)
	other(tap.FFNGate, tap.FFNOut)
	other(tap.FFNUp, tap.FFNOut)
	other(tap.QRope, tap.AttnOut)
	other(tap.QBias, tap.AttnOut)
	input("input-of-layer-before", "the product reads the layer before's input", projectionTaps[:len(projectionTaps)-1], layersBack(1))
	input("input-is-ffn-norm-of-layer-before", "the product reads ffn_norm of the layer before", qkv,
		func(of, _ tap.Key) tap.Key { return tap.At(of.Step, layerOrNone(of.Layer-1), tap.FFNNorm) })
	input("input-of-layer-0", "every layer reads layer 0's input", projectionTaps[:len(projectionTaps)-1],
		func(of, in tap.Key) tap.Key { return tap.At(of.Step, 0, in.Tap) })
	input("input-is-embedding", "the product reads the embedding", append(qkv, gateUp...),
		func(of, _ tap.Key) tap.Key { return tap.At(of.Step, tap.NoLayer, tap.InpEmbd) })
	for _, t := range []tap.Tap{tap.FFNNorm, tap.FFNInp, tap.AttnNorm} {
		input("input-is-last-"+hyphened(t), "the logits are computed from "+t.String()+" of the last layer", []tap.Tap{tap.ResultOutput},
			func(of, _ tap.Key) tap.Key { return tap.At(of.Step, m.Layers-1, t) })
	}
	return out
}

// inputRowMistakes read the right activations by other tokens or in another
// order.
func inputRowMistakes(m Model) []Hypothesis {
	d := m.Dims
	var out []Hypothesis
	order := func(id, title, fix string, taps []tap.Tap, from func(t, j, tokens, width int) int) {
		out = append(out, Hypothesis{ID: id, Aspect: "input order", Taps: taps, Title: title, Fix: fix,
			Variant: feedsAll(func(x oracle.Rows, now tap.Dims) oracle.Rows {
				width := len(x.V) / max(now.T, 1)
				return permuted(x, func(i int) int { return from(i/width, i%width, now.T, width) })
			})})
	}
	rowFix := "Row t of the product is token t of the step."
	order("input-transposed", "the activations are read as [channels, tokens] instead of [tokens, channels]",
		"Row-major activations [T,in] are column-major [in,T] with ldb = in, untransposed.", projectionTaps,
		func(t, j, tokens, _ int) int { return j*tokens + t })
	order("input-of-token-before", "each token reads the row of the token before it", rowFix, projectionTaps,
		func(t, j, _, w int) int { return (t-1)*w + j })
	order("input-of-next-token", "each token reads the row of the token after it", rowFix, projectionTaps,
		func(t, j, _, w int) int { return (t+1)*w + j })
	order("input-of-first-token", "all tokens read the row of the step's first", rowFix, projectionTaps,
		func(_, j, _, w int) int { return j })
	order("input-of-last-token", "all tokens read the row of the step's last", rowFix, projectionTaps,
		func(_, j, n, w int) int { return (n-1)*w + j })
	order("input-tokens-reversed", "tokens are read last one first", rowFix, projectionTaps,
		func(t, j, n, w int) int { return (n-1-t)*w + j })
	merged := []tap.Tap{tap.AttnOut}
	mergeFix := "The output projection reads each token's heads one after the other: [T, H, D]."
	order("input-heads-before-tokens", "kqv is read as [H,T,D]: heads and tokens have changed places", mergeFix, merged,
		func(t, j, n, _ int) int { return (j/d.D*n+t)*d.D + j%d.D })
	order("input-dims-before-heads", "a token's heads are read interleaved, [D,H] instead of [H,D]", mergeFix, merged,
		func(t, j, _, w int) int { return t*w + j%d.D*d.H + j/d.D })
	order("input-heads-after-dims", "a token's heads are taken to be interleaved, [D,H] instead of [H,D]", mergeFix, merged,
		func(t, j, _, w int) int { return t*w + j%d.H*d.D + j/d.H })
	order("input-heads-reversed", "heads are read last one first", mergeFix, merged,
		func(t, j, _, w int) int { return t*w + (d.H-1-j/d.D)*d.D + j%d.D })
	order("input-groups-interleaved", "heads are read group by group: [H/G,G] instead of [G,H/G]", mergeFix, merged,
		func(t, j, _, w int) int {
			h, per := j/d.D, d.H/d.G
			return t*w + (h%d.G*per+h/d.G)*d.D + j%d.D
		})
	for _, ld := range modelWidths(m) {
		order(fmt.Sprintf("input-ldb-%d", ld), fmt.Sprintf("rows of the input are taken to lie %d elements apart", ld),
			"The leading dimension of the activations is the number of input channels.",
			projectionsWhere(m, func(in, _ int) bool { return in != ld }),
			func(t, j, _, _ int) int { return t*ld + j })
	}
	return out
}

// inputWidthMistakes leave input channels out of the sum, or round the input.
func inputWidthMistakes(m Model) []Hypothesis {
	d := m.Dims
	var out []Hypothesis
	cut := func(n int) {
		out = append(out, Hypothesis{ID: fmt.Sprintf("inner-size-%d", n), Aspect: "inner size",
			Taps:  projectionsWhere(m, func(in, _ int) bool { return n < in }),
			Title: fmt.Sprintf("the product sums over the first %d input channels only", n),
			Fix:   "k is the number of input channels, the last partial tile included.",
			Variant: feedsAll(func(x oracle.Rows, now tap.Dims) oracle.Rows {
				width := len(x.V) / max(now.T, 1)
				return zeroWhere(x, func(i int) bool { return i%width >= n })
			})})
	}
	lengths := []int{d.G * d.D, d.F, d.D, d.H * d.D, d.E, d.E / 2, d.F / 2}
	for _, w := range []int{d.E, d.F, d.H * d.D} {
		lengths = append(lengths, w-1)
		for _, b := range []int{64, 32, 128, 256, 16, 512, 8} {
			lengths = append(lengths, w/b*b)
		}
		lengths = append(lengths, (w-1)/64*64, (w-1)/32*32, (w-1)/16*16, (w-1)/8*8)
	}
	for _, n := range distinct(lengths, func(n int) bool { return n > 0 }) {
		cut(n)
	}
	for _, r := range append(roundings[:len(roundings):len(roundings)], tf32) {
		out = append(out, Hypothesis{ID: "input-rounded-to-" + r.name, Aspect: "input type", Taps: projectionTaps,
			Title:   "the activations are rounded to " + r.name + " before the product",
			Fix:     "Keep the activations in f32 (for cuBLAS: CUBLAS_COMPUTE_32F, no TF32 and no 16-bit copy).",
			Variant: feedsAll(func(x oracle.Rows, _ tap.Dims) oracle.Rows { return r.apply(x) })})
	}
	return append(out, Hypothesis{ID: "f16-accumulation", Aspect: "accumulation", Taps: projectionTaps,
		Title: "products are summed in f16, one after the other",
		Fix:   "Accumulate in f32: CUBLAS_COMPUTE_32F, or a float accumulator.",
		Variant: semantic(func(s *oracle.Semantics) {
			s.Accumulate = func(sum, v float64) float64 { return float64(half.RoundF16(float32(sum + v))) }
		})})
}
