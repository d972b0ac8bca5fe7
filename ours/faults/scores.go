package faults

import (
	"math"

	"attndiff/ours/device"
	"attndiff/ours/qwen2"
	"attndiff/traces/tap"
)

// Texts of softmax.cu and scores.cu that several faults change.
const (
	visibleColumns = "const int visible = pos0 + t + 1;"
	scoreProduct   = "acc += q_tile[threadIdx.y][d] * k_tile[threadIdx.x][d];"
)

// scoreFaults are mistakes in the scores, their scale, the mask and the softmax.
var scoreFaults = []Fault{
	{
		Name: "no-scale", Tap: tap.KQSoftMax,
		What:     "scores enter the softmax without 1/sqrt(head_dim)",
		Why:      "the scale is expected in the GEMM's alpha, which the kernel does not have",
		Needs:    "a token that sees two positions or more",
		Rewrites: []Rewrite{setArg(tap.KQSoftMax, "scale", constant(device.Float(1)))},
	}, {
		Name: "scale-by-head-dim", Tap: tap.KQSoftMax,
		What:     "scores are divided by head_dim instead of its square root",
		Why:      "the square root is forgotten",
		Needs:    "a token that sees two positions or more",
		Rewrites: []Rewrite{setArg(tap.KQSoftMax, "scale", squared)},
	}, {
		Name: "scale-by-embedding-width", Tap: tap.KQSoftMax,
		What:  "the scale is 1/sqrt(n_embd), not 1/sqrt(head_dim)",
		Why:   "d in the paper's formula is read as the model's width",
		Needs: "a token that sees two positions or more",
		Rewrites: []Rewrite{each(tap.KQSoftMax, "scale", func(op *qwen2.Op, ops []qwen2.Op) {
			embd := find(ops, tap.NoLayer, tap.InpEmbd).Out.Shape[1]
			*arg(op, "scale") = device.Float(1 / math.Sqrt(float64(embd)))
		})},
	}, {
		Name: "scale-twice", Tap: tap.KQ,
		What:    "the scores are scaled where they are computed and again in the softmax",
		Why:     "the scale moved into another kernel and stayed where it was",
		Patches: []Patch{{"scores.cu", "* C + c] = acc;", "* C + c] = acc / sqrtf(D);"}},
	}, {
		Name: "half-the-dims", Tap: tap.KQ,
		What:    "the dot product runs over every second dim only",
		Why:     "the loop's step is that of half2 loads, the load is that of one half",
		Patches: []Patch{{"scores.cu", "for (int d = 0; d < SCORES_DIMS; d++) {", "for (int d = 0; d < SCORES_DIMS; d += 2) {"}},
	}, {
		Name: "first-half-of-dims", Tap: tap.KQ,
		What:    "the dot product runs over the first half of each 64 dims only",
		Why:     "head_dim/2, the number of RoPE pairs, is taken for the number of dims",
		Patches: []Patch{{"scores.cu", "for (int d = 0; d < SCORES_DIMS; d++) {", "for (int d = 0; d < SCORES_DIMS / 2; d++) {"}},
	}, {
		Name: "scores-row-stride", Tap: tap.KQ,
		What:    "rows of scores lie T apart instead of C",
		Why:     "right in a prefill from an empty cache, where T is C",
		Needs:   "a decode step",
		Patches: []Patch{{"scores.cu", "kq[((size_t)h * T + t) * C + c]", "kq[((size_t)h * T + t) * T + c]"}},
	}, {
		Name: "scores-query-stride", Tap: tap.KQ,
		What:    "tokens' queries are taken to lie G heads apart instead of H",
		Why:     "the leading dimension of the keys used for both operands",
		Needs:   "a prefill of two tokens or more, and fewer KV heads than query heads",
		Patches: []Patch{{"scores.cu", "q[((size_t)t * H + h) * D + d]", "q[((size_t)t * G + h) * D + d]"}},
	}, {
		Name: "weighted-sum-row-stride", Tap: tap.KQV,
		What:    "rows of probabilities are taken to lie T apart instead of C",
		Why:     "right in a prefill from an empty cache, where T is C",
		Needs:   "a decode step",
		Patches: []Patch{{"weighted_sum.cu", "p + ((size_t)h * T + t) * C;", "p + ((size_t)h * T + t) * T;"}},
	}, {
		Name: "scores-token-tile-edge", Tap: tap.KQ,
		What:    "tokens in the last, partial tile of 8 get no scores",
		Why:     "the bound is checked for whole tiles",
		Needs:   "a step whose length is not a multiple of 8",
		Patches: []Patch{{"scores.cu", "if (t < T && c < C) {", "if (t0 + SCORES_TOKENS <= T && c < C) {"}},
	}, {
		Name: "scores-tile-edge", Tap: tap.KQ,
		What:    "positions in the last, partial tile of 32 get no score",
		Why:     "the bound is checked for whole tiles",
		Needs:   "a cache length that is not a multiple of 32",
		Patches: []Patch{{"scores.cu", "if (t < T && c < C) {", "if (t < T && c0 + SCORES_POSITIONS <= C) {"}},
	}, {
		Name: "softmax-without-max", Tap: tap.KQSoftMax,
		What:  "exponentials are taken without subtracting the row's maximum",
		Why:   "right on paper, and on small scores",
		Needs: "scaled scores above 88, where exp overflows f32",
		Patches: []Patch{{"softmax.cu",
			"expf(scale * scores[c] - row_max)",
			"expf(scale * scores[c])"}},
	}, {
		Name: "softmax-unscaled-max", Tap: tap.KQSoftMax,
		What:  "the maximum subtracted is that of the raw scores, the exponent's score is scaled",
		Why:   "the scale is folded into the exponent and forgotten in the maximum",
		Needs: "raw scores that exceed the scaled ones by 88 or more, where exp underflows",
		Patches: []Patch{{"softmax.cu",
			"fmaxf(row_max, scale * scores[c])",
			"fmaxf(row_max, scores[c])"}},
	}, {
		Name: "softmax-sum-last-thread", Tap: tap.KQSoftMax,
		What:  "the row's sum is taken before the last thread has added its exponentials",
		Why:   "the thread that publishes the sum does so ahead of its own loop",
		Needs: "32 visible positions or more",
		Patches: []Patch{{"softmax.cu",
			"sum += e;",
			"sum += threadIdx.x + 1 < blockDim.x ? e : 0.0f;"}},
	}, {
		Name: "softmax-sum-of-masked", Tap: tap.KQSoftMax,
		What:  "masked columns enter the row's sum and are zeroed after the division",
		Why:   "the sum runs over the padded row, and the mask is applied to the result",
		Needs: "a prefill of two tokens or more",
		Patches: []Patch{{"softmax.cu",
			"c < visible; c += blockDim.x) {\n        const float e",
			"c < C; c += blockDim.x) {\n        const float e"}},
	}, {
		Name: "softmax-half-warp", Tap: tap.KQSoftMax,
		What:  "lanes add up over offsets 8, 4, 2, 1: half of each warp is left out of the sum",
		Why:   "the first offset is half of half a warp",
		Needs: "a token that sees two positions or more",
		Patches: []Patch{{"softmax.cu",
			"for (int offset = 16; offset > 0; offset /= 2) {\n        v +=",
			"for (int offset = 8; offset > 0; offset /= 2) {\n        v +="}},
	}, {
		Name: "softmax-normaliser-f16", Tap: tap.KQSoftMax,
		What:  "the row's sum is rounded to f16 before the division",
		Why:   "the normaliser is kept in the type of the cache",
		Needs: "a row whose sum is no f16 number (a single visible position sums to 1)",
		Patches: []Patch{
			{"softmax.cu", "// Causal softmax over one row of scores.\n", "// Causal softmax over one row of scores.\n#include <cuda_fp16.h>\n"},
			{"softmax.cu", "probs[c] / sum :", "probs[c] / __half2float(__float2half_rn(sum)) :"},
		},
	}, {
		Name: "no-mask", Tap: tap.KQSoftMax,
		What:    "every token sees every position of the step, those after it included",
		Why:     "decode needs no mask, and the prefill reuses its kernel",
		Needs:   "a prefill of two tokens or more",
		Patches: []Patch{{"softmax.cu", visibleColumns, "const int visible = C;"}},
	}, {
		Name: "mask-one-too-many", Tap: tap.KQSoftMax,
		What:    "each token also sees the one after it",
		Why:     "<= where < is meant",
		Needs:   "a prefill of two tokens or more",
		Patches: []Patch{{"softmax.cu", visibleColumns, "const int visible = min(pos0 + t + 2, C);"}},
	}, {
		Name: "mask-one-too-few", Tap: tap.KQSoftMax,
		What:    "no token sees itself",
		Why:     "< where <= is meant",
		Patches: []Patch{{"softmax.cu", visibleColumns, "const int visible = pos0 + t;"}},
	}, {
		Name: "mask-ignores-cached", Tap: tap.KQSoftMax,
		What:    "the mask counts tokens of this step only, so decode sees position 0 alone",
		Why:     "the mask was written for the prefill, where nothing is cached",
		Needs:   "a decode step",
		Patches: []Patch{{"softmax.cu", visibleColumns, "const int visible = t + 1;"}},
	}, {
		Name: "mask-rounded-to-warp", Tap: tap.KQSoftMax,
		What:    "visible positions are rounded up to a multiple of 32, future ones come in",
		Why:     "the row is padded for aligned loads and the padding is not masked again",
		Needs:   "a prefill of two tokens or more",
		Patches: []Patch{{"softmax.cu", visibleColumns, "const int visible = min((pos0 + t + 32) / 32 * 32, C);"}},
	},
}

// squared turns 1/sqrt(D) into 1/D.
func squared(_ *qwen2.Op, old device.Arg) device.Arg {
	if scale, ok := old.(device.Float); ok {
		return scale * scale
	}
	return old
}
