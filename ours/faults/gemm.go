package faults

import (
	"attndiff/ours/device"
	"attndiff/ours/qwen2"
	"attndiff/traces/tap"
)

// mergedHeads is where weighted_sum.cu writes: token by token, head by head.
const mergedHeads = "y[((size_t)t * H + h) * D + d] = acc;"

// gemmFaults are mistakes in the matrix products and in how their operands are
// laid out.
var gemmFaults = append(transposedWeights(), []Fault{
	{
		Name: "o-proj-input-transposed", Tap: tap.AttnOut,
		What:  "the attention output enters the output projection as [E,T] instead of [T,E]",
		Why:   "row-major activations described to cuBLAS as if they were column-major",
		Needs: "a prefill of two tokens or more",
		Rewrites: []Rewrite{product(tap.AttnOut, "B", func(g *device.Gemm) {
			g.TransB, g.B.Ld = true, g.N
		})},
	}, {
		Name: "k-proj-inner-size", Tap: tap.KProj,
		What:  "the key projection sums over G*D channels instead of E",
		Why:   "k is taken from the output's width, which is right for the square Q projection",
		Needs: "fewer KV heads than query heads",
		Rewrites: []Rewrite{product(tap.KProj, "K", func(g *device.Gemm) {
			g.K = min(g.K, g.M)
		})},
	}, {
		Name: "v-proj-leading-dimension", Tap: tap.VProj,
		What: "the value projection is not computed, its buffer keeps what it held",
		Why:  "a leading dimension of G*D, less than E, is refused by cuBLAS, and the status is not looked at",
		Rewrites: []Rewrite{each(tap.VProj, "product", func(op *qwen2.Op, _ []qwen2.Op) {
			op.Gemm = nil
		})},
	}, {
		Name: "o-proj-alpha", Tap: tap.AttnOut,
		What: "the output projection is scaled by 1/sqrt(head_dim)",
		Why:  "alpha of the scores' GEMM left in a shared descriptor",
		Rewrites: []Rewrite{each(tap.AttnOut, "alpha", func(op *qwen2.Op, ops []qwen2.Op) {
			for _, t := range []tap.Tap{tap.KQSoftMax, tap.KQV} { // where the unfused and the fused path take it
				scale, ok := (*arg(find(ops, op.At.Layer, t), "scale")).(device.Float)
				if ok && op.Gemm != nil {
					op.Gemm.Alpha = float32(scale)
				}
			}
		})},
	}, {
		Name: "ffn-out-beta", Tap: tap.FFNOut,
		What:  "the down projection is added to what its buffer held before, the layer before's output",
		Why:   "beta of 1, meant to add the residual in the same call",
		Needs: "two layers or more",
		Rewrites: []Rewrite{each(tap.FFNOut, "beta", func(op *qwen2.Op, _ []qwen2.Op) {
			if op.Gemm != nil && op.At.Layer > 0 {
				op.Gemm.Beta = 1
			}
		})},
	}, {
		Name: "q-proj-of-raw-stream", Tap: tap.QProj,
		What: "queries are projected from the stream before its norm",
		Why:  "the wrong one of two buffers of the same shape",
		Rewrites: []Rewrite{each(tap.QProj, "B", func(op *qwen2.Op, ops []qwen2.Op) {
			x, ok := (*arg(find(ops, op.At.Layer, tap.AttnNorm), "x")).(device.Pointer)
			if ok && op.Gemm != nil {
				op.Gemm.B.Pointer = x
			}
		})},
	}, {
		Name: "heads-positions-swapped", Tap: tap.KQV,
		What:    "the weighted sum is written [H,T,D], the output projection reads [T,H,D]",
		Why:     "the transpose that merges the heads back is left out",
		Needs:   "a prefill of two tokens or more",
		Patches: []Patch{{"weighted_sum.cu", mergedHeads, "y[((size_t)h * T + t) * D + d] = acc;"}},
	}, {
		Name: "heads-interleaved", Tap: tap.KQV,
		What:    "a token's heads are interleaved dim by dim, [D,H] instead of [H,D]",
		Why:     "the merge permutes the last two axes instead of the first two",
		Patches: []Patch{{"weighted_sum.cu", mergedHeads, "y[((size_t)t * D + d) * H + h] = acc;"}},
	}, {
		Name: "heads-reversed", Tap: tap.KQV,
		What:    "heads are concatenated last one first",
		Why:     "a grid that counts heads down",
		Patches: []Patch{{"weighted_sum.cu", mergedHeads, "y[((size_t)t * H + H - 1 - h) * D + d] = acc;"}},
	}, {
		Name: "o-proj-in-place", Tap: tap.AttnOut,
		What: "the output projection writes over the activations it still reads",
		Why:  "input and output have the same shape, and one buffer saves memory",
		Rewrites: []Rewrite{each(tap.AttnOut, "C", func(op *qwen2.Op, ops []qwen2.Op) {
			if op.Gemm == nil {
				return
			}
			output := op.Gemm.C.Pointer
			op.Gemm.C.Pointer = op.Gemm.B.Pointer
			op.Out.Buffer, op.Out.Offset = op.Gemm.B.Buffer, op.Gemm.B.Offset
			redirect(find(ops, op.At.Layer, tap.FFNInp), output, op.Gemm.B.Pointer)
		})},
	},
}...)

// transposedWeights has one fault per projection: the weight, stored [out,in],
// is described as [in,out].
func transposedWeights() []Fault {
	var list []Fault
	for _, p := range []struct {
		name string
		tap  tap.Tap
	}{
		{"q-proj", tap.QProj}, {"k-proj", tap.KProj}, {"v-proj", tap.VProj}, {"o-proj", tap.AttnOut},
		{"ffn-gate", tap.FFNGate}, {"ffn-up", tap.FFNUp}, {"ffn-down", tap.FFNOut}, {"logits", tap.ResultOutput},
	} {
		list = append(list, Fault{
			Name: p.name + "-transposed", Tap: p.tap,
			What: "the weight is multiplied untransposed, its bytes read as [in,out]",
			Why:  "PyTorch and GGUF store [out,in], cuBLAS reads column-major: one transpose too few or too many",
			Rewrites: []Rewrite{product(p.tap, "A", func(g *device.Gemm) {
				g.TransA, g.A.Ld = false, g.M
			})},
		})
	}
	return list
}
