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
// Qwen2 (llama.cpp/src/models/qwen2.cpp, llm_build_qwen2); a copy with one
// field changed recomputes an op under one possible misunderstanding.
type Semantics struct {
	RMSEps      float64 // inside the root: x / sqrt(mean(x^2) + eps)
	EpsOutside  bool    // x / (sqrt(mean(x^2)) + eps) instead
	NormCenters bool    // LayerNorm: subtract the mean and divide by the deviation
	NormBare    bool    // the norm's weight is not applied
	NormWidth   int     // elements that the mean divides by, 0 for the row's width

	BiasScale float64 // the bias is added this many times: 1, 0 when left out

	Pairing   Pairing
	RopeBase  float64
	RopeDims  int     // dims that are rotated, the first RopeDims of each head
	RopeTurns float64 // the rotation is applied this many times: 1, -1 backwards, 0 not at all
	// Position is the position of token t of a step that finds past tokens
	// cached.
	Position func(past, t int) int
	// Angle is the rotation of pair i of a head at a position, in radians; nil
	// for position * RopeBase^(-2i/RopeDims).
	Angle func(position, head, i int) float64

	ScoreScale float64
	// KVHead maps a query head to its key/value head.
	KVHead func(h, heads, kvHeads int) int
	// Visible reports whether the query at position p attends to column c.
	Visible func(p, c int) bool

	// Activation is the gate's function in the feed-forward block.
	Activation func(g float64) float64
}

// Default returns llama.cpp's semantics for these hyperparameters.
func Default(hp trace.Hparams) Semantics {
	return Semantics{
		RMSEps:     hp.RMSEps,
		BiasScale:  1,
		Pairing:    NEOX,
		RopeBase:   hp.RopeFreqBase,
		RopeDims:   hp.HeadDim,
		RopeTurns:  1,
		Position:   func(past, t int) int { return past + t },
		ScoreScale: 1 / math.Sqrt(float64(hp.HeadDim)),
		KVHead:     func(h, heads, kvHeads int) int { return h / (heads / kvHeads) },
		Visible:    func(p, c int) bool { return c <= p },
		Activation: SiLU,
	}
}

// SiLU is g * sigmoid(g) (ggml_silu_f32, ggml-cpu/vec.h).
func SiLU(g float64) float64 { return g / (1 + math.Exp(-g)) }

// angle is the rotation of pair i of a head at a position.
func (s Semantics) angle(position, head, i int) float64 {
	if s.Angle != nil {
		return s.RopeTurns * s.Angle(position, head, i)
	}
	return s.RopeTurns * float64(position) * math.Pow(s.RopeBase, -2*float64(i)/float64(s.RopeDims))
}

// positions are the positions of a step's tokens.
func (s Semantics) positions(past, tokens int) []int {
	pos := make([]int, tokens)
	for t := range pos {
		pos[t] = s.Position(past, t)
	}
	return pos
}
