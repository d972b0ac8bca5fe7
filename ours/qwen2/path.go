package qwen2

import (
	"fmt"
	"slices"

	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Path is how attention is computed.
type Path string

// The paths.
const (
	// Unfused computes scores, softmax and weighted sum one after the other,
	// and so records them all.
	Unfused Path = "unfused"
	// Fused computes them in one kernel that keeps no score, as production
	// does: one for prefills (fused_prefill.cu), one for decoding a token
	// (fused_decode.cu). It needs an f16 cache and heads of 64 or 128 elements.
	Fused Path = "fused"
)

// ParsePath reads the name of a path; "" is the unfused one.
func ParsePath(name string) (Path, error) {
	switch p := Path(name); p {
	case "", Unfused:
		return Unfused, nil
	case Fused:
		return p, nil
	}
	return "", fmt.Errorf("unknown attention path %q; there are %s and %s", name, Unfused, Fused)
}

// fusedHeads are the head sizes that the fused kernels are compiled for.
var fusedHeads = []int{64, 128}

// Check says why a model cannot take the path, nil when it can.
func (p Path) Check(hp trace.Hparams) error {
	switch {
	case p != Fused:
		return nil
	case hp.KVType != "f16":
		return fmt.Errorf("the fused attention path reads an f16 KV cache, not %s; take the unfused path or an f16 cache", hp.KVType)
	case !slices.Contains(fusedHeads, hp.HeadDim):
		return fmt.Errorf("the fused attention path takes heads of 64 or 128 elements, this model's have %d; take the unfused path", hp.HeadDim)
	}
	return nil
}

// Computes reports whether the path computes a tap as a tensor of its own.
func (p Path) Computes(t tap.Tap) bool {
	return p != Fused || t != tap.KQ && t != tap.KQSoftMax
}

// attentionFiles are the kernel files that one path runs and the other does
// not.
var attentionFiles = map[string]Path{
	"scores.cu": Unfused, "softmax.cu": Unfused, "weighted_sum.cu": Unfused,
	"fused_decode.cu": Fused, "fused_decode_tile.cuh": Fused, "fused_decode_join.cuh": Fused, "fused_prefill.cu": Fused,
	"fused.cuh": Fused, "tensor_core.cuh": Fused,
}

// Runs reports whether the path runs the kernels of a file.
func (p Path) Runs(file string) bool {
	of, special := attentionFiles[file]
	return !special || of == p
}
