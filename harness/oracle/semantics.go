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
// field changed recomputes an op under one possible misunderstanding. A nil
// function stands for the plain meaning in its comment.
type Semantics struct {
	arith Arithmetic // of the engine that computes the op; for the noise alone

	// Token is the index, among all tokens fed, of the one that is looked up for
	// token t of a step of n tokens with past tokens before it: past+t.
	Token func(past, t, n int) int
	// Lookup is the flat index in the row-major table [vocab,width] of element e
	// of token id's row: id*width + e.
	Lookup    func(id, e, vocab, width int) int
	EmbdScale float64 // factor on embedding rows: 1

	RMSEps      float64 // inside the root: x / sqrt(mean(x^2) + eps)
	EpsOutside  bool    // x / (sqrt(mean(x^2)) + eps) instead
	NormNoRoot  bool    // x / (mean(x^2) + eps) instead
	NormCenters bool    // LayerNorm: subtract the mean and divide by the deviation
	NormBare    bool    // the norm's weight is not applied
	NormOffset  float64 // added to the norm's weight: 0
	NormWidth   int     // elements that the mean divides by, 0 for the row's width
	// NormDivisor is what a row is divided by: sqrt(mean(x^2) + eps).
	NormDivisor func(row []float64, eps float64) float64
	// NormGroup is the group of element e; elements of a group are scaled by one
	// sum. All are of group 0.
	NormGroup func(e int) int
	// NormTerm reports whether element e enters the sum that scales a group:
	// always.
	NormTerm func(group, e int) bool
	// NormRow is the row whose sum scales row r: r.
	NormRow func(r int) int

	BiasScale float64 // the bias is added this many times: 1, 0 when left out
	// BiasIndex is the element of the bias that is added to element j of a row: j.
	BiasIndex func(j int) int
	// BiasRow reports whether row t of a step gets its bias: always.
	BiasRow func(t int) bool

	Pairing   Pairing
	RopeBase  float64
	RopeDims  int     // dims that are rotated, the first RopeDims of each head
	RopeTurns float64 // the rotation is applied this many times: 1, -1 backwards, 0 not at all
	// Position is the position of token t of a step of n tokens that finds past
	// tokens cached: past+t.
	Position func(past, t, n int) int
	// Angle is the rotation of pair i of a head at a position, in radians:
	// position * RopeBase^(-2i/RopeDims).
	Angle func(position, head, i int) float64
	// Rotate turns one pair: (a cos - b sin, a sin + b cos).
	Rotate func(a, b, sin, cos float64) (float64, float64)

	// CacheWrite is where a layer stores token t of a step of n tokens that finds
	// past tokens cached; a negative row is stored nowhere. CacheRead is where
	// the same layer looks for row p of cells. Both nil: row past+t, row p.
	CacheWrite func(layer, past, t, n int) Slot
	CacheRead  func(layer, p, cells int) Slot
	// CacheCell is where, counted in elements from the layer's start, a step of n
	// tokens that finds past tokens cached stores element j of token t's row: (past
	// + t)*width + j. A negative place is stored nowhere.
	CacheCell func(past, t, n, j, width int) int
	// Stored is what the cache makes of a value before its own rounding: the
	// value.
	Stored func(v float64) float64

	ScoreScale float64
	// KVHead maps a query head to its key/value head.
	KVHead func(h, heads, kvHeads int) int
	// SkipsMasked leaves columns of probability 0 out of the weighted sum; they
	// are multiplied, which shows where their values are not finite.
	SkipsMasked bool
	// Accumulate adds a product to a running sum in the scores, the weighted sum
	// and the projections: sum + product, without the rounding of any type.
	Accumulate func(sum, product float64) float64

	// Visible reports whether token t of a step that finds past tokens cached
	// attends to column c: c <= past+t.
	Visible func(past, t, c int) bool
	// Masked is the scaled score of a column that is not visible; -Inf.
	Masked float64
	// Peak is what a column contributes to the row's maximum: its scaled score.
	Peak func(scaled, raw float64) float64
	// Exp is the exponential of a score below the maximum: math.Exp.
	Exp func(x float64) float64
	// Summed reports whether column c enters the normaliser: when it is visible.
	Summed func(past, t, c, cells int) bool
	// Normaliser is what becomes of the sum before the division: the sum.
	Normaliser func(sum float64) float64

	// Activation is the gate's function in the feed-forward block.
	Activation func(g float64) float64
}

// Slot is a place for one position's row in the cache: a layer's own rows
// count from 0.
type Slot struct{ Layer, Row int }

// Default returns llama.cpp's semantics for these hyperparameters.
func Default(hp trace.Hparams) Semantics {
	return Semantics{
		EmbdScale:  1,
		RMSEps:     hp.RMSEps,
		BiasScale:  1,
		Pairing:    NEOX,
		RopeBase:   hp.RopeFreqBase,
		RopeDims:   hp.HeadDim,
		RopeTurns:  1,
		Position:   func(past, t, _ int) int { return past + t },
		ScoreScale: 1 / math.Sqrt(float64(hp.HeadDim)),
		KVHead:     func(h, heads, kvHeads int) int { return h / (heads / kvHeads) },
		Visible:    func(past, t, c int) bool { return c <= past+t },
		Masked:     math.Inf(-1),
		Activation: SiLU,
	}
}

// SiLU is g * sigmoid(g) (ggml_silu_f32, ggml-cpu/vec.h).
func SiLU(g float64) float64 { return g / (1 + math.Exp(-g)) }

// Theta is the angle that one rotation turns pair i of a head by at a position.
func (s Semantics) Theta(position, head, i int) float64 {
	if s.Angle != nil {
		return s.Angle(position, head, i)
	}
	return float64(position) * math.Pow(s.RopeBase, -2*float64(i)/float64(s.RopeDims))
}

// positions are the positions of a step's tokens.
func (s Semantics) positions(past, tokens int) []int {
	pos := make([]int, tokens)
	for t := range pos {
		pos[t] = s.Position(past, t, tokens)
	}
	return pos
}
