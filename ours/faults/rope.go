package faults

import (
	"attndiff/ours/device"
	"attndiff/ours/qwen2"
	"attndiff/traces/tap"
)

// Texts of rope.cu that several faults change.
const (
	ropePosition = "const int pos = pos0 + t;"
	ropeTheta    = "pos * pow((double)base, -2.0 * i / D)"
	ropePairs    = `const float x0 = x[row + i];
        const float x1 = x[row + i + half_dim];
        y[row + i] = x0 * c - x1 * s;
        y[row + i + half_dim] = x0 * s + x1 * c;`
	interleavedPairs = `const float x0 = x[row + 2 * i];
        const float x1 = x[row + 2 * i + 1];
        y[row + 2 * i] = x0 * c - x1 * s;
        y[row + 2 * i + 1] = x0 * s + x1 * c;`
)

// needsPosition says when a mistake in the angle shows.
const needsPosition = "a position above 0, where RoPE turns anything"

// ropeFaults are mistakes in the rotary embedding.
var ropeFaults = []Fault{
	{
		Name: "rope-interleaved", Tap: tap.QRope,
		What:    "neighbouring dims (2i, 2i+1) turn together instead of (i, i+D/2)",
		Why:     "the paper and Llama's original code pair neighbours; Qwen2 follows GPT-NeoX",
		Needs:   needsPosition,
		Patches: []Patch{{"rope.cu", ropePairs, interleavedPairs}},
	}, {
		Name: "rope-sign", Tap: tap.QRope,
		What:    "dims turn the other way round",
		Why:     "the minus sign sits in the wrong one of the two lines",
		Needs:   needsPosition,
		Patches: []Patch{{"rope.cu", "const float s = (float)sin(theta);", "const float s = -(float)sin(theta);"}},
	}, {
		Name: "rope-position-off-by-one", Tap: tap.QRope,
		What:    "token t is turned as if it stood at position t+1",
		Why:     "the length after the step is used for the position",
		Patches: []Patch{{"rope.cu", ropePosition, "const int pos = pos0 + t + 1;"}},
	}, {
		Name: "rope-position-restarts", Tap: tap.QRope,
		What:    "positions start at 0 in every step",
		Why:     "the token's index in the batch is taken for its position",
		Needs:   "a decode step",
		Patches: []Patch{{"rope.cu", ropePosition, "const int pos = t;"}},
	}, {
		Name: "rope-position-frozen", Tap: tap.QRope,
		What:     "every decode step is turned by the position of the first one",
		Why:      "the position is set after the prefill and not advanced in the decode loop",
		Needs:    "two decode steps",
		Rewrites: []Rewrite{setArg(tap.QRope, "pos0", firstDecode), setArg(tap.KRope, "pos0", firstDecode)},
	}, {
		Name: "rope-exponent", Tap: tap.QRope,
		What:    "frequencies fall as base^(-i/D) instead of base^(-2i/D)",
		Why:     "i counts pairs, the formula's 2i counts dims",
		Needs:   needsPosition,
		Patches: []Patch{{"rope.cu", ropeTheta, "pos * pow((double)base, -1.0 * i / D)"}},
	}, {
		Name: "rope-half-the-dims", Tap: tap.QRope,
		What:    "only the first half of the pairs turns",
		Why:     "a partial rotary factor of another model, or D/2 taken twice",
		Needs:   needsPosition,
		Patches: []Patch{{"rope.cu", ropeTheta, "(i < half_dim / 2 ? " + ropeTheta + " : 0.0)"}},
	}, {
		Name: "rope-frequency-runs-on", Tap: tap.QRope,
		What:    "the frequency index runs on across heads, so that later heads hardly turn",
		Why:     "the flat pair index is used where the index within the head is meant",
		Needs:   needsPosition,
		Patches: []Patch{{"rope.cu", ropeTheta, "pos * pow((double)base, -2.0 * p / D)"}},
	}, {
		Name: "rope-position-plus-head", Tap: tap.QRope,
		What:    "head h of token t is turned as if it stood at position t+h",
		Why:     "a flat row index of [token, head] used for the position",
		Needs:   "more than one head",
		Patches: []Patch{{"rope.cu", "const double theta = pos * pow", "const double theta = (pos + head) * pow"}},
	}, {
		Name: "rope-angle-f16", Tap: tap.QRope,
		What:  "the angle is rounded to f16",
		Why:   "a table of angles kept in half precision",
		Needs: needsPosition,
		Patches: []Patch{
			{"rope.cu", "// Rotary position embedding", "#include <cuda_fp16.h>\n\n// Rotary position embedding"},
			{"rope.cu", "const double theta = " + ropeTheta + ";", "const double theta = __half2float(__float2half_rn(" + ropeTheta + "));"},
		},
	}, {
		Name: "rope-wrong-base", Tap: tap.QRope,
		What:     "the frequency base is 10000",
		Why:      "the default of the paper and of Llama; the file's rope.freq_base is not read",
		Needs:    needsPosition + ", and a model whose base is another",
		Rewrites: []Rewrite{setArg(tap.QRope, "base", constant(device.Float(1e4))), setArg(tap.KRope, "base", constant(device.Float(1e4)))},
	}, {
		Name: "rope-llama3-base", Tap: tap.QRope,
		What:     "the frequency base is 500000",
		Why:      "Llama 3's, left in the configuration",
		Needs:    needsPosition + ", and a model whose base is another",
		Rewrites: []Rewrite{setArg(tap.QRope, "base", constant(device.Float(5e5))), setArg(tap.KRope, "base", constant(device.Float(5e5)))},
	}, {
		Name: "rope-q-only", Tap: tap.KRope,
		What:     "keys are cached without rotation",
		Why:      "RoPE is called for the queries and the call for the keys is missing",
		Needs:    needsPosition,
		Rewrites: []Rewrite{skip(tap.KRope, "x")},
	}, {
		Name: "rope-after-cache-write", Tap: tap.KCache,
		What:  "keys are cached before they are rotated",
		Why:   "the rotation was meant to happen on reading, as in caches that shift positions",
		Needs: needsPosition,
		Rewrites: []Rewrite{each(tap.KCache, "x", func(op *qwen2.Op, ops []qwen2.Op) {
			*arg(op, "x") = *arg(find(ops, op.At.Layer, tap.KRope), "x")
		})},
	}, {
		Name: "rope-k-twice", Tap: tap.KRope,
		What:     "keys are rotated twice",
		Why:      "once after the projection and once more in the cache write's fused path",
		Needs:    needsPosition,
		Rewrites: []Rewrite{{Slot: "k_rope order", Taps: []tap.Tap{tap.KRope}, Apply: ropeTwice(tap.KRope)}},
	}, {
		Name: "rope-q-twice", Tap: tap.QRope,
		What:     "queries are rotated twice",
		Why:      "once after the projection and once more in the scores' fused path",
		Needs:    needsPosition,
		Rewrites: []Rewrite{{Slot: "q_rope order", Taps: []tap.Tap{tap.QRope}, Apply: ropeTwice(tap.QRope)}},
	}, {
		Name: "rope-on-v", Tap: tap.VCache,
		What:     "values are rotated too before they are cached",
		Why:      "K and V go through one loop",
		Needs:    needsPosition,
		Rewrites: []Rewrite{{Slot: "v_cache order", Taps: []tap.Tap{tap.VCache}, Apply: ropeOnV}},
	},
}

// firstDecode is the position of the first decode step: one token was fed
// per decode step since.
func firstDecode(op *qwen2.Op, old device.Arg) device.Arg {
	if pos, ok := old.(device.Int); ok && op.At.Step > 1 {
		return pos - device.Int(op.At.Step-1)
	}
	return old
}

// ropeTwice runs each layer's rotation of a tap again on its own output; the
// tap records the second.
func ropeTwice(t tap.Tap) func(ops []qwen2.Op) []qwen2.Op {
	return func(ops []qwen2.Op) []qwen2.Op {
		var list []qwen2.Op
		for _, op := range ops {
			if op.At.Tap == t && op.Launch != nil {
				once := clone(op)
				once.Out = qwen2.Tensor{}
				list = append(list, once)
				inPlace(&op)
			}
			list = append(list, op)
		}
		return list
	}
}

// ropeOnV rotates each layer's values in place, as its keys are, after v_bias
// is recorded.
func ropeOnV(ops []qwen2.Op) []qwen2.Op {
	var list []qwen2.Op
	for _, op := range ops {
		list = append(list, op)
		keys := find(ops, op.At.Layer, tap.KRope)
		if op.At.Tap != tap.VBias || op.Launch == nil || keys == nil || keys.Launch == nil {
			continue
		}
		rope := clone(*keys)
		rope.At = tap.At(op.At.Step, op.At.Layer, tap.VCache)
		rope.Launch.At, rope.Out = rope.At, qwen2.Tensor{}
		*arg(&rope, "y") = *arg(&op, "y")
		inPlace(&rope)
		list = append(list, rope)
	}
	return list
}
