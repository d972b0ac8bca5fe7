package oracle

import (
	"math"

	"attndiff/traces/trace"
)

// Pairing says which two dims a RoPE rotation turns.
type Pairing uint8

const (
	// NEOX pairs dim i with i+D/2 (LLAMA_ROPE_TYPE_NEOX, GGML_ROPE_TYPE_NEOX).
	NEOX Pairing = iota
	// Interleaved pairs dim 2i with 2i+1 (LLAMA_ROPE_TYPE_NORM).
	Interleaved
)

// Semantics is what the ops mean. Default gives llama.cpp's meaning for
// Qwen2 (llama.cpp/src/models/qwen2.cpp, llm_build_qwen2); a variant with one
// field changed recomputes an op under one possible misunderstanding.
type Semantics struct {
	RMSEps     float64 // inside the root, RMSNorm: x / sqrt(mean(x^2) + eps)
	Pairing    Pairing
	RopeBase   float64
	RopeDims   int // dims that are rotated, the first RopeDims of each head
	RopeSign   float64
	PosOffset  int // added to every position before rotation
	ScoreScale float64
	// KVHead maps a query head to its key/value head.
	KVHead func(h, heads, kvHeads int) int
	// Visible reports whether the query at position p attends to column c.
	Visible func(p, c int) bool
}

// Default returns llama.cpp's semantics for these hyperparameters.
func Default(hp trace.Hparams) Semantics {
	return Semantics{
		RMSEps:     hp.RMSEps,
		Pairing:    NEOX,
		RopeBase:   hp.RopeFreqBase,
		RopeDims:   hp.HeadDim,
		RopeSign:   1,
		ScoreScale: 1 / math.Sqrt(float64(hp.HeadDim)),
		KVHead:     func(h, heads, kvHeads int) int { return h / (heads / kvHeads) },
		Visible:    func(p, c int) bool { return c <= p },
	}
}
