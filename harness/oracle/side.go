package oracle

import (
	"fmt"
	"slices"
	"sync"

	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Source is a trace as the oracle reads it; [trace.Reader] is one.
type Source interface {
	Meta() trace.Meta
	Info(k tap.Key) (trace.Info, bool)
	Dims(step int) tap.Dims
	Float64(k tap.Key, buf []float64) ([]float64, error)
}

// Side is one engine's recordings as the oracle's inputs.
type Side struct {
	trace  Source
	arith  Arithmetic
	usable func(tap.Key) bool

	held  *held // recomputed because they were not recorded
	turns turns // how roundings of what is held are counted

	once  sync.Once
	other *Side // the same recordings with all turns
}

// derived is a tensor with what it was computed from.
type derived struct {
	Rows
	inputs   []tap.Key
	composed tapSet
}

// NewSide returns the recordings of one engine. arith is how that engine
// treats operands. usable limits which recordings serve as inputs, nil for
// all; the reference is held to those that ours recorded too, so that both
// sides compose across the same gaps and their errors compare.
func NewSide(r Source, arith Arithmetic, usable func(tap.Key) bool) *Side {
	return &Side{trace: r, arith: arith, usable: usable, held: newHeld()}
}

// turned is the side with every uncertain rounding going the other way.
func (s *Side) turned() *Side {
	s.once.Do(func() {
		s.other = NewSide(s.trace, s.arith, s.usable)
		s.other.turns = allTurns
	})
	return s.other
}

// kvType is the cache's element type on this side.
func (s *Side) kvType() string { return s.trace.Meta().Hparams.KVType }

// attention is this side's arithmetic at the scores and the weighted sum of a
// step and layer. llama.cpp narrows queries and probabilities to the cache's
// type; where it recorded no scores, it ran its fused attention, which takes
// f16 alone.
func (s *Side) attention(step, layer int) attention {
	d := s.trace.Dims(step)
	if !s.arith.ggml() {
		how := s.arith.multiply("F32", d.D)
		return attention{scores: how, values: how}
	}
	stored := "F32"
	if s.kvType() == "f16" {
		stored = "F16"
	}
	if _, scores := s.trace.Info(tap.At(step, layer, tap.KQ)); !scores {
		fused := multiply{operand: "F16"}
		if stored == "F32" {
			fused.matrix = RoundingNMSE(UnitF16) // cast on the way in (build_attn_mha, llama-graph.cpp)
		}
		return attention{scores: fused, values: fused, flash: true}
	}
	a := attention{scores: s.arith.multiply(stored, d.D), values: s.arith.multiply(stored, d.P+d.T)}
	if stored == "F16" {
		a.scores = multiply{operand: "F16"} // build_attn_mha asks for f32 sums of the scores (ggml_mul_mat_set_prec)
	}
	return a
}

// has reports whether a recording can serve as an input: it is there, in the
// shape this model calls for. One of another shape is a finding of its own and
// the ops after it are judged from what there is.
func (s *Side) has(k tap.Key) bool {
	info, ok := s.trace.Info(k)
	return ok && (s.usable == nil || s.usable(k)) &&
		slices.Equal(info.Shape, k.Tap.Shape(s.trace.Dims(k.Step)))
}

// load reads a recording as rows of its last axis. A tensor recorded in a
// narrower type than the f32 the engine computed carries that rounding as
// noise; the caches are recorded as they are stored.
func (s *Side) load(k tap.Key) (derived, error) {
	info, _ := s.trace.Info(k)
	v, err := s.trace.Float64(k, nil)
	if err != nil {
		return derived{}, fmt.Errorf("%s: %w", k, err)
	}
	width := info.Shape[len(info.Shape)-1]
	r := Rows{N: len(v) / max(width, 1), Width: width, V: v}
	if unit := narrowUnit(info.DType); unit > 0 && k.Tap != tap.KCache && k.Tap != tap.VCache {
		r.Noise = make([]float64, len(v))
		for i, x := range v {
			r.Noise[i] = StorageNoise(info.DType, x)
		}
	}
	return derived{Rows: r, inputs: []tap.Key{k}}, nil
}

// narrowUnit is the unit roundoff of a type narrower than f32, else 0.
func narrowUnit(dt trace.DType) float64 {
	switch dt {
	case trace.F16:
		return UnitF16
	case trace.BF16:
		return UnitBF16
	}
	return 0
}

// StorageNoise is the variance that recording v in type dt leaves: nothing for
// F64, and for F32 what may be flushed below its normal range.
func StorageNoise(dt trace.DType, v float64) float64 {
	if dt == trace.F64 {
		return 0
	}
	unit := narrowUnit(dt)
	noise := RoundingNMSE(unit)*v*v + smallestNormal*smallestNormal
	if dt == trace.F16 {
		noise += halfSubnormal
	}
	return noise
}

// remember holds a tensor that was recomputed for want of a recording. Even
// where its inputs are exact it is no recording: what it stands for was rounded.
func (s *Side) remember(k tap.Key, d derived) derived {
	d.composed |= 1 << k.Tap
	if d.Noise == nil {
		d.Noise = make([]float64, len(d.V))
	}
	s.held.put(k, d)
	return d
}

// tapSet is a set of taps, one bit each.
type tapSet uint32

// list returns the taps in execution order.
func (s tapSet) list() []tap.Tap {
	var taps []tap.Tap
	for _, t := range tap.All() {
		if s&(1<<t) != 0 {
			taps = append(taps, t)
		}
	}
	return taps
}
