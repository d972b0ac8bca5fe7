// Package oracletest makes forward passes of small models with the oracle's own
// formulas, for tests that need a run whose every mistake is known.
package oracletest

import (
	"encoding/binary"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/traces/gguf"
	"attndiff/traces/half"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
	"attndiff/traces/trace/tracetest"
)

// Pass is a forward pass in the making: what has been computed so far serves
// as the inputs of what comes next, rounded to f32 as an engine would.
type Pass struct {
	Metadata trace.Meta
	Held     map[tap.Key][]float64
	File     trace.DType // that Write stores it in
}

// Meta implements [oracle.Source].
func (p *Pass) Meta() trace.Meta { return p.Metadata }

// Info implements [oracle.Source].
func (p *Pass) Info(k tap.Key) (trace.Info, bool) {
	_, ok := p.Held[k]
	return trace.Info{DType: p.dtype(k), Shape: k.Tap.Shape(p.Dims(k.Step))}, ok
}

func (p *Pass) dtype(k tap.Key) trace.DType {
	if (k.Tap == tap.KCache || k.Tap == tap.VCache) && p.Metadata.Hparams.KVType == "f16" {
		return trace.F16
	}
	return trace.F32
}

// Dims implements [oracle.Source].
func (p *Pass) Dims(step int) tap.Dims {
	h := p.Metadata.Hparams
	d := tap.Dims{T: p.Metadata.Steps[step], E: h.NEmbd, H: h.NHead, G: h.NHeadKV, D: h.HeadDim, F: h.NFF, V: h.NVocab}
	for _, t := range p.Metadata.Steps[:step] {
		d.P += t
	}
	return d
}

// Float64 implements [oracle.Source].
func (p *Pass) Float64(k tap.Key, _ []float64) ([]float64, error) { return p.Held[k], nil }

// Keys lists every recording of the pass in execution order.
func (p *Pass) Keys() []tap.Key {
	var all []tap.Key
	for step := range p.Metadata.Steps {
		for _, t := range tap.All() {
			for layer := range p.Metadata.Hparams.NLayer {
				all = append(all, tap.At(step, layer, t))
			}
		}
	}
	slices.SortFunc(all, tap.Key.Compare)
	return slices.Compact(all)
}

// Run is a forward pass to be made.
type Run struct {
	Model     *gguf.File
	Semantics func(tap.Key) oracle.Semantics // of each op; nil for llama.cpp's
	Edit      func(tap.Key, []float64)       // may spoil what an op gave before others read it; nil for nothing
	Variant   oracle.Variant                 // of every op that it applies to
}

// Forward makes the pass.
func (r Run) Forward(t testing.TB) *Pass {
	t.Helper()
	hp := r.Model.Hparams
	hp.KVType = "f16"
	p := &Pass{Held: map[tap.Key][]float64{}, File: trace.F32, Metadata: trace.Meta{
		Engine: "ours:test", EngineVersion: "1", Device: "none", ModelSHA256: "0", ModelName: "tiny", Hparams: hp,
		Tokens: []int32{5, 9, 200, 17, 42, 7, 99}, Steps: []int{5, 1, 1},
	}}
	if r.Semantics == nil {
		r.Semantics = func(tap.Key) oracle.Semantics { return oracle.Default(hp) }
	}
	side := oracle.NewSide(p, oracle.PlainF32, nil)
	for _, k := range p.Keys() {
		o := oracle.New(oracle.GGUF(r.Model), hp, r.Semantics(k))
		request := []oracle.Request{{Side: side, Key: k}}
		v, err := o.With(r.Variant).Eval(request)
		if errors.Is(err, oracle.ErrNotApplicable) {
			v, err = o.Eval(request)
		}
		if err != nil {
			t.Fatal(err)
		}
		data := make([]float64, len(v[0].Data))
		for i, x := range v[0].Data {
			data[i] = float64(float32(x))
		}
		if r.Edit != nil {
			r.Edit(k, data)
		}
		p.Held[k] = data
	}
	return p
}

// Write stores what is to be kept of a pass as a trace file, all of it where keep
// is nil, and opens it.
func (p *Pass) Write(t testing.TB, keep func(tap.Key) bool) *trace.Reader {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.safetensors")
	w, err := trace.Create(path, len(p.Held))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range p.Keys() {
		if keep != nil && !keep(k) {
			continue
		}
		if err := w.Put(k, p.File, k.Tap.Shape(p.Dims(k.Step)), encode(p.Held[k], p.File)); err != nil {
			t.Fatal(err)
		}
	}
	return tracetest.Finish(t, w, path, p.Metadata)
}

// encode is the bytes of values in a type.
func encode(values []float64, dt trace.DType) []byte {
	var raw []byte
	for _, x := range values {
		switch dt {
		case trace.F64:
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(x))
		case trace.F32:
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(x)))
		case trace.F16:
			raw = binary.LittleEndian.AppendUint16(raw, half.ToF16(float32(x)))
		case trace.BF16:
			raw = binary.LittleEndian.AppendUint16(raw, half.ToBF16(float32(x)))
		}
	}
	return raw
}
