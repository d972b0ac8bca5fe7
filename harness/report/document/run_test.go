package document_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"attndiff/harness/comparison"
	"attndiff/harness/engines"
	"attndiff/harness/report"
	"attndiff/harness/report/document"
	"attndiff/harness/session"
	"attndiff/traces/gguf"
	"attndiff/traces/synth"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// scenario is one run whose documents are looked at.
type scenario struct {
	faults string // planted in ours
	kv     string // f16 when empty
	flash  bool
	tokens [][]int32 // steps' when nil
	taps   []tap.Tap // that ours records; nil for all
	notes  func(map[string]string)
	blind  bool   // without a model: drift alone
	text   string // the prompt's, as a user gave it
	path   string // that our attention takes; unfused when empty
	shape  func(*synth.Spec)
}

// steps feeds a prompt of five tokens and two more.
var steps = [][]int32{{7, 8, 9, 10, 11}, {12}, {13}}

// documents runs a scenario and returns its documents by name, with the
// report they are about.
func documents(t *testing.T, s scenario) (map[string]string, *report.Report) {
	t.Helper()
	dir := t.TempDir()
	if s.shape == nil {
		s.shape = func(*synth.Spec) {}
	}
	path := synthtest.Tiny(t, "F16", s.shape)
	model, err := engines.OpenModel(path)
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	if s.kv == "" {
		s.kv = "f16"
	}
	if s.tokens == nil {
		s.tokens = steps
	}
	ref := filepath.Join(dir, "reference.safetensors")
	ours := filepath.Join(dir, "ours.safetensors")
	record(t, ref, model, session.Spec{Engine: engines.LlamaCPU, Model: path, KV: s.kv, FlashAttn: s.flash}, s, nil)
	spec := session.Spec{Engine: engines.OursEmu, Model: path, KV: s.kv, Path: s.path}
	if s.faults != "" {
		spec.Faults = strings.Split(s.faults, ",")
	}
	record(t, ours, model, spec, s, s.taps)

	plan := &session.Plan{Reference: session.Side{Trace: ref}, Ours: session.Side{Trace: ours}, Repeat: 1}
	c := comparison.Comparison{Plan: plan, Model: model, Began: time.Now(),
		Input: report.Input{Text: s.text, Faults: spec.Faults, Command: "bin/attndiff diff --model tiny.gguf --fault " + s.faults + " --steps 2"}}
	if s.blind {
		c.Model = nil
	}
	diff, err := c.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := document.Write(dir, document.Input{Report: diff.Report, Reference: ref, Ours: ours, Model: c.Model, Out: dir}); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range document.Names() {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(text)
	}
	return out, diff.Report
}

// record runs an engine on a scenario's tokens and writes its trace, notes
// included.
func record(t *testing.T, path string, model *gguf.File, spec session.Spec, s scenario, taps []tap.Tap) {
	t.Helper()
	spec.Threads = 1
	for _, step := range s.tokens {
		spec.Context += len(step)
	}
	sum, err := model.SHA256()
	if err != nil {
		t.Fatal(err)
	}
	e, err := engines.Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	w, err := trace.Create(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	info := e.Info()
	meta := trace.Meta{Engine: info.Engine, EngineVersion: info.Version, Device: info.Device, ModelName: model.Name, ModelSHA256: sum, Hparams: info.Hparams}
	for i, tokens := range s.tokens {
		if _, err := e.Step(i, tokens, trace.Filter{Sink: w, Taps: taps}); err != nil {
			t.Fatal(err)
		}
		meta.Tokens, meta.Steps = append(meta.Tokens, tokens...), append(meta.Steps, len(tokens))
	}
	if meta.Notes, err = e.(session.Annotator).Notes(); err != nil {
		t.Fatal(err)
	}
	if s.notes != nil {
		s.notes(meta.Notes)
	}
	if err := w.Close(meta); err != nil {
		t.Fatal(err)
	}
}

// without are the taps that are not among some.
func without(some ...tap.Tap) []tap.Tap {
	return slices.DeleteFunc(tap.All(), func(t tap.Tap) bool { return slices.Contains(some, t) })
}

// scenarios are the runs that every document must read well for.
func scenarios() map[string]scenario {
	return map[string]scenario{
		"clean":          {},
		"one fault":      {faults: "no-scale"},
		"many faults":    {faults: "gqa-modulo,no-scale,k-proj-transposed,k-bias-missing"},
		"cache":          {faults: "v-cache-wrong-layer"},
		"not finite":     {faults: "v-proj-leading-dimension"},
		"flash":          {flash: true},
		"f32 cache":      {kv: "f32", faults: "rope-interleaved"},
		"one token":      {tokens: [][]int32{{5}}},
		"token by token": {tokens: [][]int32{{5}, {6}, {7}}},
		"some taps":      {taps: without(tap.QProj, tap.KBias, tap.KQSoftMax), faults: "no-scale"},
		"foreign":        {notes: func(n map[string]string) { clear(n) }, faults: "k-bias-missing"},
		"broken notes": {notes: func(n map[string]string) {
			for name := range maps.Clone(n) {
				n[name] = `{"tensors":[{"src":[4]}], "list": "|<b>"}`
			}
		}},
		"fused":       {path: "fused", shape: func(s *synth.Spec) { s.Embd, s.Heads, s.HeadsKV = 256, 4, 2 }},
		"deep":        {shape: func(s *synth.Spec) { s.Layers = 24 }, faults: "v-cache-wrong-layer"},
		"one KV head": {shape: func(s *synth.Spec) { s.HeadsKV = 1 }},
		"drift alone": {blind: true, faults: "no-scale"},
		"user text":   {text: "`|a|` <script>alert(1)</script> ```\n# x | y\n- [ ] z ![i](j) **b** &amp;"},
	}
}
