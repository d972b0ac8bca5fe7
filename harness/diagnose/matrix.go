package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/half"
	"attndiff/traces/tap"
)

// projectionTaps are the taps that a matrix product writes.
var projectionTaps = []tap.Tap{tap.QProj, tap.KProj, tap.VProj, tap.AttnOut, tap.FFNGate, tap.FFNUp, tap.FFNOut, tap.ResultOutput}

// projectionsWhere lists the products whose numbers of input and output
// channels are wanted.
func projectionsWhere(m Model, want func(in, out int) bool) []tap.Tap {
	d := m.Dims
	sizes := map[tap.Tap][2]int{
		tap.QProj: {d.E, d.H * d.D}, tap.KProj: {d.E, d.G * d.D}, tap.VProj: {d.E, d.G * d.D}, tap.AttnOut: {d.H * d.D, d.E},
		tap.FFNGate: {d.E, d.F}, tap.FFNUp: {d.E, d.F}, tap.FFNOut: {d.F, d.E}, tap.ResultOutput: {d.E, d.V},
	}
	var out []tap.Tap
	for _, t := range projectionTaps {
		if want(sizes[t][0], sizes[t][1]) {
			out = append(out, t)
		}
	}
	return out
}

// gathered is a weight [out,in] whose element (i,j) is read at a flat index;
// outside the matrix it is undefined.
func gathered(at func(i, j, out, in int) int) oracle.Variant {
	return oracle.Variant{Matrix: func(_ tap.Key, w []float64, out, in int) []float64 {
		y := make([]float64, len(w))
		for i := range out {
			for j := range in {
				y[i*in+j] = math.NaN()
				if k := at(i, j, out, in); k >= 0 && k < len(w) {
					y[i*in+j] = w[k]
				}
			}
		}
		return y
	}}
}

// matrixMistakes are mistakes in how a projection reads its weight.
func matrixMistakes(m Model) []Hypothesis {
	layout := func(id, title, fix string, at func(i, j, out, in int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "weight layout", Taps: projectionTaps, Title: title, Fix: fix, Variant: gathered(at)}
	}
	stored := "GGUF stores a weight [out,in] row-major, which cuBLAS reads as column-major [in,out]: pass op(A) = T with lda = in."
	out := []Hypothesis{
		layout("weight-transposed", "the weight is multiplied untransposed: its bytes are read as [in,out]", stored,
			func(i, j, out, _ int) int { return j*out + i }),
		layout("weight-untransposed-with-lda-in", "the weight is multiplied untransposed with the leading dimension of the transposed", stored,
			func(i, j, _, in int) int { return j*in + i }),
	}
	for _, ld := range modelWidths(m) {
		h := layout(fmt.Sprintf("weight-lda-%d", ld), fmt.Sprintf("rows of the weight are taken to lie %d elements apart", ld),
			"The leading dimension of a stored weight is its number of input channels.",
			func(i, j, _, _ int) int { return i*ld + j })
		h.Taps = projectionsWhere(m, func(in, _ int) bool { return in != ld })
		out = append(out, h)
	}
	start := "The first element of the weight is element 0 of row 0: look for an offset on the pointer, or an id counted from 1."
	out = append(out,
		layout("weight-one-row-ahead", "channel i is multiplied with row i+1 of the weight: the pointer is one row too far", start,
			func(i, j, _, in int) int { return (i+1)*in + j }),
		layout("weight-one-row-behind", "channel i is multiplied with row i-1 of the weight: the pointer is one row too early", start,
			func(i, j, _, in int) int { return (i-1)*in + j }),
		layout("weight-one-element-ahead", "the weight is read from its second element on", start,
			func(i, j, _, in int) int { return i*in + j + 1 }),
		layout("weight-rows-reversed", "rows of the weight are read last one first", "Row i of the weight makes channel i.",
			func(i, j, out, in int) int { return (out-1-i)*in + j }))
	half := m.Dims.D / 2
	heads := []tap.Tap{tap.QProj, tap.KProj}
	permuted := func(id, title string, from func(d int) int) {
		h := layout(id, title,
			"Qwen2's GGUF keeps the rows of attn_q and attn_k as the checkpoint has them (NEOX); only Llama's converter permutes them.",
			func(i, j, _, in int) int { return (i/m.Dims.D*m.Dims.D+from(i%m.Dims.D))*in + j })
		h.Taps = heads
		out = append(out, h)
	}
	permuted("weight-rows-permuted-for-interleaved-rope", "the rows of each head are permuted from halves to neighbours, as Llama's converter does",
		func(d int) int { return d%2*half + d/2 })
	permuted("weight-rows-permuted-for-neox-rope", "the rows of each head are permuted from neighbours to halves",
		func(d int) int { return d%half*2 + d/half })
	return append(append(out, tensorMistakes(m)...), weightTypeMistakes()...)
}

// tensorMistakes read another tensor.
func tensorMistakes(m Model) []Hypothesis {
	name := map[tap.Tap]string{
		tap.QProj: "attn_q", tap.KProj: "attn_k", tap.VProj: "attn_v", tap.AttnOut: "attn_output",
		tap.FFNGate: "ffn_gate", tap.FFNUp: "ffn_up", tap.FFNOut: "ffn_down",
	}
	block := func(layer int, tensor string) string { return fmt.Sprintf("blk.%d.%s.weight", layer, tensor) }
	var out []Hypothesis
	tensor := func(id, title string, taps []tap.Tap, of func(tap.Key) string) {
		out = append(out, Hypothesis{ID: id, Aspect: "weight", Taps: taps, Title: title,
			Fix:     "Check the pointer handed to this product: each layer and each projection has a weight of its own.",
			Variant: oracle.Variant{Tensor: func(k tap.Key, _ string) string { return of(k) }}})
	}
	for _, swap := range []struct{ at, other tap.Tap }{
		{tap.KProj, tap.VProj}, {tap.VProj, tap.KProj}, {tap.FFNGate, tap.FFNUp}, {tap.FFNUp, tap.FFNGate},
		{tap.QProj, tap.AttnOut}, {tap.AttnOut, tap.QProj}, {tap.FFNOut, tap.FFNUp}, {tap.FFNOut, tap.FFNGate},
		{tap.FFNUp, tap.FFNOut}, {tap.FFNGate, tap.FFNOut}, {tap.KProj, tap.QProj}, {tap.VProj, tap.QProj},
	} {
		tensor("weight-of-"+hyphened(swap.other), fmt.Sprintf("the weight is %s of the same layer", name[swap.other]), []tap.Tap{swap.at},
			func(k tap.Key) string { return block(k.Layer, name[swap.other]) })
	}
	layered := projectionTaps[:len(projectionTaps)-1]
	tensor("weight-of-layer-before", "the weight is that of the layer before", layered,
		func(k tap.Key) string { return block(k.Layer-1, name[k.Tap]) })
	tensor("weight-of-next-layer", "the weight is that of the next layer", layered,
		func(k tap.Key) string { return block(k.Layer+1, name[k.Tap]) })
	tensor("weight-of-layer-0", "every layer uses the weight of layer 0", layered,
		func(k tap.Key) string { return block(0, name[k.Tap]) })
	tensor("weight-of-last-layer", "every layer uses the weight of the last layer", layered,
		func(k tap.Key) string { return block(m.Layers-1, name[k.Tap]) })
	tensor("logits-of-embedding-table", "the logits are computed with token_embd although the model has an output.weight", []tap.Tap{tap.ResultOutput},
		func(tap.Key) string { return "token_embd.weight" })
	return out
}

// weightTypeMistakes keep the weight in a narrower type than the file does.
func weightTypeMistakes() []Hypothesis {
	narrowed := func(id, title string, to func(float32) float32) Hypothesis {
		return Hypothesis{ID: id, Aspect: "weight type", Taps: projectionTaps, Title: title,
			Fix: "Keep the weight in the type the file has, or accept its rounding.",
			Variant: oracle.Variant{Matrix: func(_ tap.Key, w []float64, _, _ int) []float64 {
				y := make([]float64, len(w))
				for i, v := range w {
					y[i] = float64(to(float32(v)))
				}
				return y
			}}}
	}
	return append([]Hypothesis{
		narrowed("weight-rounded-to-bf16", "the weight is rounded to bf16", half.RoundBF16),
		narrowed("weight-rounded-to-f16", "the weight is rounded to f16", half.RoundF16),
	}, misreadTypeMistakes()...)
}

// misreadTypeMistakes take the weight's 16 bits for another type's. A weight
// that is not all of the one type is left as it is.
func misreadTypeMistakes() []Hypothesis {
	misread := func(id, title string, bits func(float32) uint16, stored, taken func(uint16) float32) Hypothesis {
		return Hypothesis{ID: id, Aspect: "weight type", Taps: projectionTaps, Title: title,
			Fix: "Hand the product the type that the file stores the weight in.",
			Variant: oracle.Variant{Matrix: func(_ tap.Key, w []float64, _, _ int) []float64 {
				y := make([]float64, len(w))
				for i, v := range w {
					b := bits(float32(v))
					if float64(stored(b)) != v {
						return w
					}
					y[i] = float64(taken(b))
				}
				return y
			}}}
	}
	return []Hypothesis{
		misread("weight-f16-read-as-bf16", "the weight is f16 and its bits are read as bf16", half.ToF16, half.FromF16, half.FromBF16),
		misread("weight-bf16-read-as-f16", "the weight is bf16 and its bits are read as f16", half.ToBF16, half.FromBF16, half.FromF16),
	}
}

// modelWidths are the row widths that a model's tensors have.
func modelWidths(m Model) []int {
	d := m.Dims
	return distinct([]int{d.E, d.H * d.D, d.G * d.D, d.F, d.D, d.V}, func(n int) bool { return n > 0 })
}
