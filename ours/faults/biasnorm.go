package faults

import (
	"attndiff/ours/device"
	"attndiff/ours/qwen2"
	"attndiff/traces/tap"
)

// Texts of rms_norm.cu that several faults change.
const (
	normScale = "const float scale = 1.0f / sqrtf(sum / E + eps);"
	normValue = "out[e] = row[e] * scale * w[e];"
)

// biasNormFaults are mistakes in the biases of Q, K and V and in the norms.
var biasNormFaults = []Fault{
	{
		Name: "q-bias-missing", Tap: tap.QBias,
		What:     "the queries' bias is left out",
		Why:      "Llama has none, and the code grew from a Llama",
		Needs:    "a model with a bias other than 0",
		Rewrites: []Rewrite{skip(tap.QBias, "x")},
	}, {
		Name: "k-bias-missing", Tap: tap.KBias,
		What:     "the keys' bias is left out",
		Why:      "Llama has none, and the code grew from a Llama",
		Needs:    "a model with a bias other than 0",
		Rewrites: []Rewrite{skip(tap.KBias, "x")},
	}, {
		Name: "v-bias-missing", Tap: tap.VBias,
		What:     "the values' bias is left out",
		Why:      "Llama has none, and the code grew from a Llama",
		Needs:    "a model with a bias other than 0",
		Rewrites: []Rewrite{skip(tap.VBias, "x")},
	}, {
		Name: "q-bias-on-k", Tap: tap.KBias,
		What:  "keys get the queries' bias",
		Why:   "a line copied for K with one name left unchanged",
		Needs: "a model with a bias other than 0",
		Rewrites: []Rewrite{each(tap.KBias, "b", func(op *qwen2.Op, ops []qwen2.Op) {
			*arg(op, "b") = *arg(find(ops, op.At.Layer, tap.QBias), "b")
		})},
	}, {
		Name: "v-bias-wrong-layer", Tap: tap.VBias,
		What:     "each layer after the first adds the values' bias of the layer before it",
		Why:      "an off-by-one in a list of weight pointers",
		Needs:    "two layers or more, and a model with a bias other than 0",
		Rewrites: []Rewrite{previousLayer(tap.VBias, "b")},
	}, {
		Name: "bias-per-head", Tap: tap.QBias,
		What:    "heads repeat the first 64 elements of the bias",
		Why:     "a bias of head_dim elements is assumed and broadcast, 64 written as a constant",
		Needs:   "a model with a bias other than 0 and more than 64 rows of Q",
		Patches: []Patch{{"bias.cu", "y[i] = x[i] + b[j];", "y[i] = x[i] + b[j % 64];"}},
	}, {
		Name: "bias-first-token-only", Tap: tap.QBias,
		What:    "only the first token of a step gets its bias",
		Why:     "the bias is added to the first N elements and the rows after it are forgotten",
		Needs:   "a prefill of two tokens or more",
		Patches: []Patch{{"bias.cu", "y[i] = x[i] + b[j];", "y[i] = x[i] + (i < N ? b[j] : 0.0f);"}},
	}, {
		Name: "k-bias-after-rope", Tap: tap.KBias,
		What:     "keys are rotated first and biased afterwards",
		Why:      "the bias is fused into the cache write",
		Needs:    "a position above 0, where RoPE turns anything",
		Rewrites: []Rewrite{{Slot: "k_bias order", Taps: []tap.Tap{tap.KBias, tap.KRope, tap.KCache}, Apply: biasAfterRope(tap.KBias, tap.KRope, tap.KCache, "x")}},
	}, {
		Name: "q-bias-after-rope", Tap: tap.QBias,
		What:     "queries are rotated first and biased afterwards",
		Why:      "the bias is fused into the scores",
		Needs:    "a position above 0, where RoPE turns anything",
		Rewrites: []Rewrite{{Slot: "q_bias order", Taps: []tap.Tap{tap.QBias, tap.QRope, tap.KQ}, Apply: biasAfterRope(tap.QBias, tap.QRope, tap.KQ, "q")}},
	}, {
		Name: "norm-eps", Tap: tap.AttnNorm,
		What:     "eps is 1e-3 in every norm",
		Why:      "Keras' default instead of the file's layer_norm_rms_epsilon",
		Needs:    "rows whose mean square is small beside 1",
		Rewrites: []Rewrite{epsOf(tap.AttnNorm), epsOf(tap.FFNNorm), epsOf(tap.ResultNorm)},
	}, {
		Name: "norm-eps-outside-root", Tap: tap.AttnNorm,
		What:    "eps is added to the root instead of under it",
		Why:     "the formula of another library's norm",
		Needs:   "rows whose mean square is small beside 1",
		Patches: []Patch{{"rms_norm.cu", normScale, "const float scale = 1.0f / (sqrtf(sum / E) + eps);"}},
	}, {
		Name: "norm-weight-missing", Tap: tap.AttnNorm,
		What:    "rows are normalised and not multiplied by the weight",
		Why:     "the weight is near 1 in many models, and the output looks right",
		Patches: []Patch{{"rms_norm.cu", normValue, "out[e] = row[e] * scale;"}},
	}, {
		Name: "norm-weight-plus-one", Tap: tap.AttnNorm,
		What:    "the weight is taken as an offset from 1",
		Why:     "Gemma's convention",
		Patches: []Patch{{"rms_norm.cu", normValue, "out[e] = row[e] * scale * (1.0f + w[e]);"}},
	}, {
		Name: "norm-layernorm", Tap: tap.AttnNorm,
		What: "the row's mean is subtracted: LayerNorm instead of RMSNorm",
		Why:  "the norm of GPT-2 and BERT, at hand in every library",
		Patches: []Patch{
			{"rms_norm.cu", "    float sum = 0.0f;\n    for (int e = threadIdx.x; e < E;", "    float mean = 0.0f;\n    for (int e = 0; e < E; e++) {\n        mean += row[e] / E;\n    }\n    float sum = 0.0f;\n    for (int e = threadIdx.x; e < E;"},
			{"rms_norm.cu", "sum += row[e] * row[e];", "sum += (row[e] - mean) * (row[e] - mean);"},
			{"rms_norm.cu", normValue, "out[e] = (row[e] - mean) * scale * w[e];"},
		},
	}, {
		Name: "norm-mean-over-block", Tap: tap.AttnNorm,
		What:    "the mean of squares divides by the number of threads instead of E",
		Why:     "the kernel was written for rows as wide as a block",
		Patches: []Patch{{"rms_norm.cu", "sum / E + eps", "sum / blockDim.x + eps"}},
	}, {
		Name: "norm-sum-for-mean", Tap: tap.AttnNorm,
		What:    "the sum of squares is used where the mean is meant",
		Why:     "L2 normalisation in place of RMS",
		Patches: []Patch{{"rms_norm.cu", "sum / E + eps", "sum + eps"}},
	}, {
		Name: "ffn-norm-of-attention", Tap: tap.FFNNorm,
		What: "the norm before the FFN uses the weight of the norm before attention",
		Why:  "two vectors of the same size in one struct",
		Rewrites: []Rewrite{each(tap.FFNNorm, "w", func(op *qwen2.Op, ops []qwen2.Op) {
			*arg(op, "w") = *arg(find(ops, op.At.Layer, tap.AttnNorm), "w")
		})},
	},
}

// epsOf sets a norm's eps to 1e-3.
func epsOf(t tap.Tap) Rewrite { return setArg(t, "eps", constant(device.Float(1e-3))) }

// biasAfterRope exchanges the order of each layer's bias and rotation; what
// reads the rotation, as parameter param, reads the biased one.
func biasAfterRope(biased, rotated, reader tap.Tap, param string) func(ops []qwen2.Op) []qwen2.Op {
	return func(ops []qwen2.Op) []qwen2.Op {
		for i := range ops {
			if ops[i].At.Tap != rotated {
				continue
			}
			layer := ops[i].At.Layer
			rope, bias, next := &ops[i], find(ops, layer, biased), find(ops, layer, reader)
			x, b, r := *arg(bias, "x"), *arg(bias, "y"), *arg(rope, "y")
			*arg(rope, "x"), *arg(bias, "x"), *arg(next, param) = x, r, b
			*bias, *rope = *rope, *bias // the bias came before, so the loop does not meet the rotation again
		}
		return ops
	}
}
