package faults

import (
	"attndiff/ours/device"
	"attndiff/ours/qwen2"
	"attndiff/traces/tap"
)

// Texts that several faults change.
const (
	normWarps       = "for (int w = 0; w < blockDim.x / 32; w++) {"
	normShuffle     = "for (int offset = 16; offset > 0; offset /= 2) {"
	normSquares     = "for (int e = threadIdx.x; e < E; e += blockDim.x) {\n        sum += row[e] * row[e];"
	residualBound   = "if (i < n) {"
	weightedProduct = "acc += p_tile[i] * weighted_sum_to_float(v[((size_t)(c0 + i) * G + g) * D + d]);"
)

// numericFaults are mistakes in precision, in reductions and between threads.
var numericFaults = []Fault{
	{
		Name: "scores-f16-accumulation", Tap: tap.KQ,
		What: "scores are summed in f16",
		Why:  "the accumulator has the type of the operands",
		Patches: []Patch{{"scores.cu", scoreProduct,
			"acc = __half2float(__float2half_rn(acc + q_tile[threadIdx.y][d] * k_tile[threadIdx.x][d]));"}},
	}, {
		Name: "weighted-sum-f16-accumulation", Tap: tap.KQV,
		What:  "weighted values are summed in f16",
		Why:   "the accumulator has the type of the operands",
		Needs: "a token that sees two positions or more",
		Patches: []Patch{{"weighted_sum.cu", weightedProduct,
			"acc = __half2float(__float2half_rn(acc + p_tile[i] * weighted_sum_to_float(v[((size_t)(c0 + i) * G + g) * D + d])));"}},
	}, {
		Name: "norm-last-warp-dropped", Tap: tap.AttnNorm,
		What:    "the block's sum leaves out its last warp",
		Needs:   "an embedding width above 224, so that the last of 8 warps has channels",
		Why:     "< blockDim.x/32 - 1 from a loop that handled the first warp apart",
		Patches: []Patch{{"rms_norm.cu", normWarps, "for (int w = 0; w < blockDim.x / 32 - 1; w++) {"}},
	}, {
		Name: "norm-half-warp", Tap: tap.AttnNorm,
		What:    "lanes add up over offsets 8, 4, 2, 1: half of each warp is left out",
		Why:     "the first offset is half of half a warp",
		Patches: []Patch{{"rms_norm.cu", normShuffle, "for (int offset = 8; offset > 0; offset /= 2) {"}},
	}, {
		Name: "norm-barrier-missing", Tap: tap.AttnNorm,
		What:    "warps add up the shared sums before all of them are written",
		Why:     "the barrier after writing to shared memory is left out",
		Patches: []Patch{{"rms_norm.cu", "    __syncthreads();\n", ""}},
	}, {
		Name: "weighted-sum-barrier-missing", Tap: tap.KQV,
		What:    "probabilities are read from shared memory before all of them are written",
		Why:     "the barrier after filling the tile is left out",
		Needs:   "heads wider than a warp, or more positions than threads",
		Patches: []Patch{{"weighted_sum.cu", "        __syncthreads();\n        if (d < D) {", "        if (d < D) {"}},
	}, {
		Name: "norm-tail-dropped", Tap: tap.AttnNorm,
		What:  "the sum of squares leaves out channels beyond the last whole block of threads",
		Why:   "an unrolled loop without its remainder",
		Needs: "an embedding width that is not a multiple of 256",
		Patches: []Patch{{"rms_norm.cu", normSquares,
			"for (int e = threadIdx.x; e < E / blockDim.x * blockDim.x; e += blockDim.x) {\n        sum += row[e] * row[e];"}},
	}, {
		Name: "residual-tail-unwritten", Tap: tap.FFNInp,
		What:    "elements beyond the last whole block of threads are not written",
		Why:     "the grid is n/256 rounded down",
		Needs:   "T*E that is not a multiple of 256",
		Patches: []Patch{{"residual.cu", residualBound, "if (i < n / 256 * 256) {"}},
	}, {
		Name: "q-bias-grid-rounded-down", Tap: tap.QBias,
		What:  "queries' channels beyond the last whole block of 256 are not written",
		Why:   "the grid is N/256 rounded down",
		Needs: "a query width above 256 that is not a multiple of it",
		Rewrites: []Rewrite{each(tap.QBias, "grid", func(op *qwen2.Op, _ []qwen2.Op) {
			if n, ok := (*arg(op, "N")).(device.Int); ok {
				op.Launch.Grid.X = max(int(n)/op.Launch.Block.X, 1)
			}
		})},
	}, {
		Name: "embedding-first-block-only", Tap: tap.InpEmbd,
		What:    "only the first 256 channels of an embedding row are copied",
		Why:     "one thread per channel, and a block has no more",
		Needs:   "an embedding width above 256",
		Patches: []Patch{{"embed.cu", "for (int e = threadIdx.x; e < E; e += blockDim.x) {", "if (const int e = threadIdx.x; e < E) {"}},
	}, {
		Name: "swiglu-bf16-output", Tap: tap.FFNSwiglu,
		What: "the gated activation is rounded to bf16",
		Why:  "a down projection with bf16 operands was planned",
		Patches: []Patch{
			{"swiglu.cu", "// SwiGLU (Shazeer", "#include <cuda_bf16.h>\n\n// SwiGLU (Shazeer"},
			{"swiglu.cu", "y[i] = x / (1.0f + expf(-x)) * up[i];", "y[i] = __bfloat162float(__float2bfloat16(x / (1.0f + expf(-x)) * up[i]));"},
		},
	}, {
		Name: "swiglu-fast-exp", Tap: tap.FFNSwiglu,
		What:    "the exponential is replaced by its first-order neighbour (1 + x/256)^256",
		Why:     "a fast approximation taken over from a blog",
		Patches: []Patch{{"swiglu.cu", "expf(-x)", "powf(1.0f - x / 256.0f, 256.0f)"}},
	}, {
		Name: "scores-q-bf16", Tap: tap.KQ,
		What: "queries are rounded to bf16 as they are staged in shared memory",
		Why:  "a tile in half the bytes fits twice as many rows; in f16 it would be what llama.cpp does",
		Patches: []Patch{
			{"scores.cu", "#include <cuda_fp16.h>", "#include <cuda_bf16.h>\n#include <cuda_fp16.h>"},
			{"scores.cu", "inside ? q[((size_t)t * H + h) * D + d] : 0.0f;",
				"inside ? __bfloat162float(__float2bfloat16(q[((size_t)t * H + h) * D + d])) : 0.0f;"},
		},
	},
}
