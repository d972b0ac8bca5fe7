package comparison_test

import (
	"path/filepath"
	"strings"
	"testing"

	"attndiff/harness/comparison"
	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/gguf"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// steps feeds a prompt of four tokens and two more.
var steps = [][]int32{{7, 8, 9, 10}, {11}, {12}}

// record runs an engine on steps and returns its trace.
func record(t *testing.T, spec session.Spec, model session.Model) string {
	t.Helper()
	spec.Context, spec.Threads = 6, 1
	e, err := engines.Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	path := filepath.Join(t.TempDir(), "trace.safetensors")
	w, err := trace.Create(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	info := e.Info()
	meta := trace.Meta{Engine: info.Engine, EngineVersion: info.Version, Device: info.Device, ModelName: model.Name,
		ModelSHA256: model.SHA256, Hparams: info.Hparams}
	for i, tokens := range steps {
		if _, err := e.Step(i, tokens, w); err != nil {
			t.Fatal(err)
		}
		meta.Tokens, meta.Steps = append(meta.Tokens, tokens...), append(meta.Steps, len(tokens))
	}
	if err := w.Close(meta); err != nil {
		t.Fatal(err)
	}
	return path
}

// tiny opens the tiny synthetic model and llama.cpp's recording of it.
func tiny(t *testing.T) (*gguf.File, session.Model, *trace.Reader) {
	t.Helper()
	path := synthtest.Tiny(t, "F16")
	m, err := engines.OpenModel(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	sum, err := m.SHA256()
	if err != nil {
		t.Fatal(err)
	}
	id := session.Model{Name: m.Name, SHA256: sum}
	ref, err := trace.Open(record(t, session.Spec{Engine: engines.LlamaCPU, Model: path, KV: "f16"}, id))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ref.Close() })
	return m, id, ref
}

// A run is judged alone when it hides nothing; where it holds NaN from memory
// that nobody wrote, a second run shows what the first could not.
func TestJudge(t *testing.T) {
	m, id, ref := tiny(t)
	for _, c := range []struct {
		faults string // planted in ours
		again  int    // times that ours is to run again
		wrong  string
	}{
		{"", 0, ""},
		{"k-bias-missing", 0, "k_bias"},
		{"cache-not-written-in-decode", 1, "k_cache v_cache"},
		// NaN from the cache hides the scale in decode until ours runs again.
		{"cache-not-written-in-decode,no-scale", 1, "kq_soft_max k_cache v_cache"},
	} {
		t.Run(c.faults, func(t *testing.T) {
			spec := session.Spec{Engine: engines.OursEmu, Model: m.Path, KV: "f16"}
			if c.faults != "" {
				spec.Faults = strings.Split(c.faults, ",")
			}
			ran := 0
			j := comparison.Judge{Reference: ref, Model: m, Again: func() (string, error) {
				ran++
				spec := spec
				spec.Ordinary = true
				return record(t, spec, id), nil
			}}
			v, err := j.Judge(record(t, spec, id), "")
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			var wrong []string
			for _, group := range v.Result.Wrong() {
				wrong = append(wrong, group[0].Key.Tap.String())
			}
			if got := strings.Join(wrong, " "); got != c.wrong || ran != c.again || (v.Again != nil) != (c.again > 0) {
				t.Errorf("wrong %q, ran again %d times; want %q, %d", got, ran, c.wrong, c.again)
			}
			causes, err := v.Causes()
			if err != nil || len(causes) == 0 && c.wrong != "" {
				t.Errorf("causes %v, %v", causes, err)
			}
			if strings.Contains(c.faults, "no-scale") {
				decode := tap.Key{Step: 2, Layer: 0, Tap: tap.KQSoftMax}
				if !introduced(v.Result, decode) || introduced(v.First.Result, decode) {
					t.Errorf("%s: wrong in the first run %v, in all %v; want it in all alone", decode,
						introduced(v.First.Result, decode), introduced(v.Result, decode))
				}
			}
		})
	}
}

// introduced reports whether a recording is called wrong.
func introduced(r *verdict.Result, k tap.Key) bool {
	for _, t := range r.Taps {
		if t.Key == k {
			return t.Status == verdict.Introduced
		}
	}
	return false
}
