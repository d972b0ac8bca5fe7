package page

import (
	"bytes"
	"encoding/binary"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"attndiff/harness/report"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
	"attndiff/traces/trace/tracetest"
)

// made is a made-up run: two traces of a small model, drift alone judged.
type made struct {
	hp     trace.Hparams
	steps  []int
	wants  func(k tap.Key, ours bool) bool                 // nil records everything
	damage func(k tap.Key, shape []int, v []float32) []int // changes ours; the shape it returns is recorded
	change func(*report.Input)                             // of what the report is made of
	report func(*report.Report)                            // and of the report
	decode func([]int32) string
}

var small = trace.Hparams{
	NLayer: 2, NEmbd: 32, NHead: 4, NHeadKV: 2, HeadDim: 8, NFF: 48, NVocab: 64,
	RopeFreqBase: 1e6, RopeType: "neox", RMSEps: 1e-6, KVType: "f16",
}

// value is a number that follows from its place, between -2 and 2.
func value(k tap.Key, i int) float32 {
	x := uint64(i)*0x9e3779b97f4a7c15 + uint64(k.Step)*7919 + uint64(k.Layer+1)*104729 + uint64(k.Tap)*1299709
	x ^= x >> 31
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	return float32(x>>40)/(1<<24)*4 - 2
}

// input records both traces and reports on them.
func (m made) input(t testing.TB) Input {
	t.Helper()
	if m.hp.NLayer == 0 {
		m.hp = small
	}
	if m.steps == nil {
		m.steps = []int{5, 1, 1}
	}
	meta := trace.Meta{Engine: "llama.cpp:cpu", EngineVersion: "1", Device: "CPU", ModelName: "made", Hparams: m.hp, Steps: m.steps}
	for _, n := range m.steps {
		for range n {
			meta.Tokens = append(meta.Tokens, int32(len(meta.Tokens)%m.hp.NVocab))
		}
	}
	dir := t.TempDir()
	ref := m.record(t, filepath.Join(dir, "reference.safetensors"), meta, false)
	meta.Engine = "ours:emu"
	ours := m.record(t, filepath.Join(dir, "ours.safetensors"), meta, true)
	result, err := verdict.Judge(ref, ours, nil, verdict.Options{})
	if err != nil {
		t.Fatal(err)
	}
	prompt := meta.Tokens[:m.steps[0]]
	in := report.Input{
		Run: &session.Run{
			Reference: &session.Recording{Meta: ref.Meta(), Own: meta.Tokens[m.steps[0]:]},
			Ours:      &session.Recording{Meta: ours.Meta(), Own: meta.Tokens[m.steps[0]:]},
			Prompt:    prompt,
		},
		Result: result, Name: "made", Text: "the prompt", Timing: report.Timing{"total": 1}, Command: "bin/attndiff diff", Decode: m.decode,
	}
	if m.change != nil {
		m.change(&in)
	}
	r := report.Build(in)
	if m.report != nil {
		m.report(r)
	}
	return Input{Report: r, Reference: ref, Ours: ours, Decode: m.decode}
}

// record writes one side's trace. Ours differs by a rounding.
func (m made) record(t testing.TB, path string, meta trace.Meta, ours bool) *trace.Reader {
	t.Helper()
	w, err := trace.Create(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := m.hp.Dims()
	for step, n := range m.steps {
		d.T = n
		for layer := range m.hp.NLayer {
			for _, of := range tap.All() {
				if !of.PerLayer() && layer > 0 {
					continue
				}
				k := tap.At(step, layer, of)
				if m.wants != nil && !m.wants(k, ours) {
					continue
				}
				shape := of.Shape(d)
				v := m.values(k, shape)
				if ours {
					for i := range v {
						v[i] *= 1 + 1e-4*value(k, i+1)
					}
					if m.damage != nil {
						shape = m.damage(k, shape, v)
					}
				}
				if err := w.Put(k, trace.F32, shape, encode(v)); err != nil {
					t.Fatal(err)
				}
			}
		}
		d.P += n
	}
	return tracetest.Finish(t, w, path, meta)
}

// values are those of the reference: the softmax masked and positive.
func (m made) values(k tap.Key, shape []int) []float32 {
	v := make([]float32, tap.Elements(shape))
	for i := range v {
		v[i] = value(k, i)
		if k.Tap == tap.KQSoftMax {
			cols, rows := shape[2], shape[1]
			v[i] = float32(math.Abs(float64(v[i]))) / 2
			if i%cols > cols-rows+i/cols%rows {
				v[i] = 0
			}
		}
	}
	return v
}

func encode(v []float32) []byte {
	var out bytes.Buffer
	_ = binary.Write(&out, binary.LittleEndian, v)
	return out.Bytes()
}

// changed changes one element of ours wherever a tap is recorded.
func changed(of tap.Tap, index int, x float32) func(tap.Key, []int, []float32) []int {
	return func(k tap.Key, shape []int, v []float32) []int {
		if k.Tap == of {
			v[index%len(v)] = x
		}
		return shape
	}
}

func rendered(t testing.TB, in Input) string {
	t.Helper()
	var out strings.Builder
	if err := Render(&out, in); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)
