package faults

import (
	"attndiff/ours/device"
	"attndiff/ours/qwen2"
	"attndiff/traces/tap"
)

// cacheFaults are mistakes in where and when keys and values are stored, and
// in what is stored.
var cacheFaults = []Fault{
	{
		Name: "cache-row-off-by-one", Tap: tap.KCache,
		What: "K and V rows are written one position too far; the first row is never written",
		Why:  "the length is incremented before the write instead of after it",
		Patches: []Patch{{"kv_cache.cu",
			"const int pos = pos0 + t;",
			"const int pos = pos0 + t + 1;"}},
	}, {
		Name: "cache-rows-reversed", Tap: tap.KCache,
		What:  "the rows of one step are written last token first",
		Why:   "a loop counts down and its index is used as the position",
		Needs: "a prefill of two tokens or more",
		Patches: []Patch{{"kv_cache.cu",
			"const int pos = pos0 + t;",
			"const int pos = pos0 + gridDim.y - 1 - t;"}},
	}, {
		Name: "cache-strides-swapped", Tap: tap.KCache,
		What: "within a position, heads and dims change places: [D,G] instead of [G,D]",
		Why:  "strides copied from a cache that keeps the heads innermost",
		Patches: []Patch{{"kv_cache.cu",
			"cache[((size_t)pos * G + g) * D + d]",
			"cache[((size_t)pos * D + d) * G + g]"}},
	}, {
		Name: "kv-round-toward-zero", Tap: tap.KCache,
		What:    "f16 rows are truncated instead of rounded to nearest even",
		Why:     "a conversion that drops mantissa bits, or the intrinsic with the wrong rounding mode",
		Needs:   "an f16 cache",
		Patches: []Patch{{"kv_cache.cu", "*slot = __float2half_rn(v);", "*slot = __float2half_rn(__int_as_float(__float_as_int(v) & 0xffffe000));"}},
	}, {
		Name: "kv-f16-overflow", Tap: tap.KCache,
		What:  "rows are scaled by 32768 in f16 before they are stored, so values of 2 and more become Inf",
		Why:   "a quantisation scale applied in half precision",
		Needs: "an f16 cache and keys of magnitude 2 or more",
		Patches: []Patch{{"kv_cache.cu",
			"*slot = __float2half_rn(v);",
			"*slot = __float2half_rn(__half2float(__float2half_rn(v * 32768.0f)) / 32768.0f);"}},
	}, {
		Name: "kv-rounded-to-bf16", Tap: tap.KCache,
		What: "rows are rounded to bf16 on their way into the cache",
		Why:  "a bf16 staging buffer between the projection and the cache",
		Patches: []Patch{
			{"kv_cache.cu", "#include <cuda_fp16.h>", "#include <cuda_bf16.h>\n#include <cuda_fp16.h>"},
			{"kv_cache.cu", "x[((size_t)t * G + g) * D + d])", "__bfloat162float(__float2bfloat16(x[((size_t)t * G + g) * D + d])))"},
		},
	}, {
		Name: "cache-read-off-by-one", Tap: tap.KQ,
		What:    "scores read key c+1 where key c is meant; the last one is a row not written yet",
		Why:     "positions counted from one on the reading side",
		Patches: []Patch{{"scores.cu", "((size_t)c * G + g)", "((size_t)(c + 1) * G + g)"}},
	}, {
		Name: "v-read-transposed", Tap: tap.KQV,
		What: "values are read as [G,D,C] although they are stored [C,G,D]",
		Why:  "llama.cpp keeps V transposed without flash attention, and the reader was copied from there",
		Patches: []Patch{{"weighted_sum.cu",
			"v[((size_t)(c0 + i) * G + g) * D + d]",
			"v[((size_t)g * D + d) * C + c0 + i]"}},
	}, {
		Name: "v-read-off-by-one", Tap: tap.KQV,
		What:    "the weighted sum reads value c+1 where value c is meant; the last one is a row not written yet",
		Why:     "positions counted from one on the reading side",
		Patches: []Patch{{"weighted_sum.cu", "v[((size_t)(c0 + i) * G + g) * D + d]", "v[((size_t)(c0 + i + 1) * G + g) * D + d]"}},
	}, {
		Name: "k-read-heads-outermost", Tap: tap.KQ,
		What:    "keys are read as [G,C,D] although they are stored [C,G,D]",
		Why:     "the layout of a cache that keeps each head's positions together",
		Needs:   needsGroups,
		Patches: []Patch{{"scores.cu", "k[((size_t)c * G + g) * D + d]", "k[((size_t)g * C + c) * D + d]"}},
	}, {
		Name: "cache-written-heads-outermost", Tap: tap.KCache,
		What: "rows are written [G,C,D], heads outermost and C positions apart",
		Why:  "the layout of a cache that keeps each head's positions together, with the current length for the capacity",
		Patches: []Patch{{"kv_cache.cu",
			"cache[((size_t)pos * G + g) * D + d]",
			"cache[((size_t)g * (pos0 + gridDim.y) + pos) * D + d]"}},
		Needs: needsGroups,
	}, {
		Name: "v-cache-wrong-layer", Tap: tap.KQV,
		What:     "each layer after the first weighs the values of the layer before it",
		Why:      "the layer index is advanced at the top of the loop and V's offset is taken before",
		Needs:    "two layers or more",
		Rewrites: []Rewrite{previousLayer(tap.KQV, "v")},
	}, {
		Name: "k-cache-wrong-layer", Tap: tap.KQ,
		What:     "each layer after the first scores against the keys of the layer before it",
		Why:      "the layer offset of the K cache is computed one layer late",
		Needs:    "two layers or more",
		Rewrites: []Rewrite{previousLayer(tap.KQ, "k")},
	}, {
		Name: "v-cache-layer-stride-missing", Tap: tap.VCache,
		What:  "every layer writes its values into layer 0 of the cache",
		Why:   "the layer offset is applied on reading and forgotten on writing",
		Needs: "two layers or more",
		Rewrites: []Rewrite{each(tap.VCache, "cache", func(op *qwen2.Op, _ []qwen2.Op) {
			moveWrite(op, -op.Out.Offset)
		})},
	}, {
		Name: "cache-length-for-capacity", Tap: tap.KCache,
		What:     "layers lie C positions apart instead of the capacity, so they move as the text grows",
		Why:      "the stride is taken from the current length, which works until the first decode",
		Needs:    "two layers or more and a decode step",
		Rewrites: []Rewrite{lengthForCapacity(tap.KCache), lengthForCapacity(tap.VCache), lengthForCapacity(tap.KQ), lengthForCapacity(tap.KQV)},
	}, {
		Name: "cache-not-written-in-decode", Tap: tap.KCache,
		What:     "decode steps do not append their row",
		Why:      "the write sits in the prefill branch",
		Needs:    "a decode step",
		Rewrites: []Rewrite{prefillOnly(tap.KCache), prefillOnly(tap.VCache)},
	}, {
		Name: "v-cache-not-written-in-decode", Tap: tap.VCache,
		What:     "decode steps append their key and not their value",
		Why:      "the decode path was written with the scores in view",
		Needs:    "a decode step",
		Rewrites: []Rewrite{prefillOnly(tap.VCache)},
	}, {
		Name: "cache-stale-row", Tap: tap.KCache,
		What:  "decode overwrites the row of the token before it",
		Why:   "the position handed to decode is the index of the last row, not of the next",
		Needs: "a decode step",
		Rewrites: []Rewrite{
			setArg(tap.KCache, "pos0", lastRow),
			setArg(tap.VCache, "pos0", lastRow),
		},
	}, {
		Name: "k-cache-written-after-scores", Tap: tap.KQ,
		What:     "a step's keys reach the cache only after its scores are computed",
		Why:      "the write was moved to the end of attention to overlap it with the GEMM",
		Rewrites: []Rewrite{{Slot: "k_cache order", Taps: []tap.Tap{tap.KCache, tap.KQ}, Apply: writeAfter(tap.KCache, tap.KQ)}},
	}, {
		Name: "v-cache-written-after-sum", Tap: tap.KQV,
		What:     "a step's values reach the cache only after they are weighed",
		Why:      "the write was moved to the end of attention to overlap it with the GEMM",
		Rewrites: []Rewrite{{Slot: "v_cache order", Taps: []tap.Tap{tap.VCache, tap.KQV}, Apply: writeAfter(tap.VCache, tap.KQV)}},
	}, {
		Name: "kv-swapped-on-write", Tap: tap.KCache,
		What: "values are written to the K cache and keys to the V cache",
		Why:  "two pointers of the same type in the wrong order in a call",
		Rewrites: []Rewrite{{Slot: "k_cache x", Taps: []tap.Tap{tap.KCache, tap.VCache}, Apply: func(ops []qwen2.Op) []qwen2.Op {
			return swapArgs(ops, tap.KCache, "x", tap.VCache, "x")
		}}},
	}, {
		Name: "kv-swapped-on-read", Tap: tap.KQ,
		What: "scores read the V cache and the weighted sum reads the K cache",
		Why:  "two pointers of the same type in the wrong order in a call",
		Rewrites: []Rewrite{{Slot: "kq k", Taps: []tap.Tap{tap.KQ, tap.KQV}, Apply: func(ops []qwen2.Op) []qwen2.Op {
			return swapArgs(ops, tap.KQ, "k", tap.KQV, "v")
		}}},
	},
}

// moveWrite shifts where an op's kernel writes into the cache; the tap still
// records the layer's own place.
func moveWrite(op *qwen2.Op, by int) {
	a := arg(op, "cache")
	p, ok := (*a).(device.Pointer)
	if !ok {
		return
	}
	p.Offset += by
	*a = p
	for i := range op.Launch.Writes {
		op.Launch.Writes[i].Offset += by
	}
}

// lengthForCapacity makes a tap's op find its layer at l*C positions.
func lengthForCapacity(t tap.Tap) Rewrite {
	param := map[tap.Tap]string{tap.KCache: "cache", tap.VCache: "cache", tap.KQ: "k", tap.KQV: "v"}[t]
	return each(t, param, func(op *qwen2.Op, ops []qwen2.Op) {
		// Any cache tap of the layer says how many bytes C positions take.
		stride := find(ops, op.At.Layer, tap.KCache).Out.Bytes()
		a := arg(op, param)
		p, ok := (*a).(device.Pointer)
		if !ok {
			return
		}
		by := op.At.Layer*stride - p.Offset
		if t == tap.KQ || t == tap.KQV {
			p.Offset += by
			*a = p
			return
		}
		moveWrite(op, by)
		op.Out.Offset += by
	})
}

// prefillOnly leaves out a tap's launch when positions are cached already.
func prefillOnly(t tap.Tap) Rewrite {
	return each(t, "launch", func(op *qwen2.Op, _ []qwen2.Op) {
		if pos, ok := (*arg(op, "pos0")).(device.Int); ok && pos > 0 {
			op.Launch = nil
		}
	})
}

// lastRow is pos0 - 1, where there is such a row.
func lastRow(_ *qwen2.Op, old device.Arg) device.Arg {
	if pos, ok := old.(device.Int); ok && pos > 0 {
		return pos - 1
	}
	return old
}

// writeAfter moves each layer's write of a cache behind the op that reads it.
func writeAfter(cache, reader tap.Tap) func(ops []qwen2.Op) []qwen2.Op {
	return func(ops []qwen2.Op) []qwen2.Op {
		var moved []qwen2.Op
		var late *qwen2.Op
		for i := range ops {
			if ops[i].At.Tap == cache {
				late = &ops[i]
				continue
			}
			moved = append(moved, ops[i])
			if ops[i].At.Tap == reader && late != nil {
				moved = append(moved, *late)
				late = nil
			}
		}
		return moved
	}
}

// swapArgs exchanges an argument between two taps' launches, layer by layer.
func swapArgs(ops []qwen2.Op, a tap.Tap, paramA string, b tap.Tap, paramB string) []qwen2.Op {
	for i := range ops {
		if ops[i].At.Tap == a {
			x, y := arg(&ops[i], paramA), arg(find(ops, ops[i].At.Layer, b), paramB)
			*x, *y = *y, *x
		}
	}
	return ops
}
