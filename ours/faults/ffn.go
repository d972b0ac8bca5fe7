package faults

import (
	"attndiff/ours/device"
	"attndiff/ours/qwen2"
	"attndiff/traces/tap"
)

// siluGate is how swiglu.cu combines its operands.
const siluGate = "y[i] = x / (1.0f + expf(-x)) * up[i];"

// ffnFaults are mistakes in the FFN, the residuals, the embedding and the head.
var ffnFaults = []Fault{
	{
		Name: "gate-up-swapped", Tap: tap.FFNSwiglu,
		What: "silu is applied to the up projection, the gate multiplies",
		Why:  "fused checkpoints hold the two in either order",
		Rewrites: []Rewrite{each(tap.FFNSwiglu, "gate", func(op *qwen2.Op, _ []qwen2.Op) {
			gate, up := arg(op, "gate"), arg(op, "up")
			*gate, *up = *up, *gate
		})},
	}, {
		Name: "gelu-for-silu", Tap: tap.FFNSwiglu,
		What: "the gate passes through GELU (tanh form) instead of SiLU",
		Why:  "GEGLU models share all the rest of the code",
		Patches: []Patch{{"swiglu.cu", siluGate,
			"y[i] = 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x))) * up[i];"}},
	}, {
		Name: "relu-for-silu", Tap: tap.FFNSwiglu,
		What:    "the gate passes through ReLU instead of SiLU",
		Why:     "the activation's name in the configuration is not read",
		Patches: []Patch{{"swiglu.cu", siluGate, "y[i] = fmaxf(x, 0.0f) * up[i];"}},
	}, {
		Name: "silu-without-x", Tap: tap.FFNSwiglu,
		What:    "the gate passes through the sigmoid alone",
		Why:     "GLU's original gate",
		Patches: []Patch{{"swiglu.cu", siluGate, "y[i] = 1.0f / (1.0f + expf(-x)) * up[i];"}},
	}, {
		Name: "down-wrong-layer", Tap: tap.FFNOut,
		What:  "each layer after the first uses the down projection of the layer before it",
		Why:   "an off-by-one in a list of weight pointers",
		Needs: "two layers or more",
		Rewrites: []Rewrite{{Slot: "ffn_out weight", Taps: []tap.Tap{tap.FFNOut}, Apply: func(ops []qwen2.Op) []qwen2.Op {
			for i := len(ops) - 1; i >= 0; i-- { // backwards, so that no layer sees a changed one
				before := find(ops, ops[i].At.Layer-1, tap.FFNOut)
				if ops[i].At.Tap == tap.FFNOut && before != nil && before.Gemm != nil && ops[i].Gemm != nil {
					ops[i].Gemm.A = before.Gemm.A
				}
			}
			return ops
		}}},
	}, {
		Name: "down-first-layer", Tap: tap.FFNOut,
		What:  "every layer uses the down projection of layer 0",
		Why:   "the layer's offset is left out of one weight pointer",
		Needs: "two layers or more",
		Rewrites: []Rewrite{each(tap.FFNOut, "weight", func(op *qwen2.Op, ops []qwen2.Op) {
			if first := find(ops, 0, tap.FFNOut); op.Gemm != nil && first.Gemm != nil {
				op.Gemm.A = first.Gemm.A
			}
		})},
	}, {
		Name: "residual-missing", Tap: tap.FFNInp,
		What:    "both residual connections pass on their branch alone",
		Why:     "the add is expected in the GEMM's beta, which is 0",
		Patches: []Patch{{"residual.cu", "branch[i] + skip[i];", "branch[i];"}},
	}, {
		Name: "residual-from-norm", Tap: tap.FFNInp,
		What: "the attention's residual is the normed stream instead of the stream",
		Why:  "post-norm models take it there",
		Rewrites: []Rewrite{each(tap.FFNInp, "skip", func(op *qwen2.Op, ops []qwen2.Op) {
			*arg(op, "skip") = *arg(find(ops, op.At.Layer, tap.AttnNorm), "y")
		})},
	}, {
		Name: "ffn-residual-before-attention", Tap: tap.LOut,
		What: "the FFN's residual is the stream from before attention, which drops the attention",
		Why:  "one residual variable for both halves, not updated in between",
		Rewrites: []Rewrite{each(tap.LOut, "skip", func(op *qwen2.Op, ops []qwen2.Op) {
			*arg(op, "skip") = *arg(find(ops, op.At.Layer, tap.AttnNorm), "x")
		})},
	}, {
		Name: "embedding-scaled", Tap: tap.InpEmbd,
		What:    "embedding rows are multiplied by sqrt(n_embd)",
		Why:     "the Transformer paper and Gemma do it",
		Patches: []Patch{{"embed.cu", "= embed_to_float(row[e]);", "= embed_to_float(row[e]) * sqrtf(E);"}},
	}, {
		Name: "final-norm-missing", Tap: tap.ResultNorm,
		What:     "logits are computed from the last layer's stream without the final norm",
		Why:      "it belongs to no layer and is left out of the loop and after it",
		Rewrites: []Rewrite{skip(tap.ResultNorm, "x")},
	}, {
		Name: "logits-of-ffn-input", Tap: tap.ResultNorm,
		What: "the head reads the last layer's ffn_inp, which drops its FFN",
		Why:  "the wrong one of two buffers of the same shape",
		Rewrites: []Rewrite{each(tap.ResultNorm, "x", func(op *qwen2.Op, ops []qwen2.Op) {
			for i := range ops { // the last layer's is the last found
				if y, ok := (*arg(&ops[i], "y")).(device.Pointer); ok && ops[i].At.Tap == tap.FFNInp {
					*arg(op, "x") = y
				}
			}
		})},
	},
}
