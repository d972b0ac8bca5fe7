package session

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"attndiff/traces/trace"
)

// newPlan compares two fakes on prompt 0, 1 with two decode steps.
func newPlan(t *testing.T) *Plan {
	return &Plan{
		Reference: Side{Engine: "reference"}, Ours: Side{Engine: "ours"},
		Spec: Spec{KV: "f16"}, Model: Model{Name: "m", SHA256: strings.Repeat("ab", 32)},
		ContextLimit: fakeContext, Tokens: []int32{0, 1}, Decode: 2, Repeat: 1, Dir: t.TempDir(),
	}
}

func execute(t *testing.T, p *Plan) (*Run, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), plentyOfIt)
	defer cancel()
	return p.Execute(ctx, newRunner(plentyOfIt))
}

func TestPlan(t *testing.T) {
	run, err := execute(t, newPlan(t))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(run.Prompt, []int32{0, 1}) || len(run.Notes)+len(run.Unstable) > 0 {
		t.Errorf("prompt %v, notes %v, unstable %v", run.Prompt, run.Notes, run.Unstable)
	}
	for _, rec := range []*Recording{run.Reference, run.Ours} {
		if !reflect.DeepEqual(rec.Own, []int32{2, 3}) {
			t.Errorf("%s says %v, want [2 3]", rec.Side, rec.Own)
		}
		if _, err := os.Stat(rec.File); err != nil {
			t.Error(err)
		}
	}
}

// Tokens chosen before are fed to both sides as they are; the reference says
// its own in a free pass.
func TestPlanSteps(t *testing.T) {
	p := newPlan(t)
	p.Tokens, p.Steps, p.Decode = []int32{0, 1, 5, 4}, []int{2, 1, 1}, 0
	run, err := execute(t, p)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(run.Prompt, []int32{0, 1}) || !reflect.DeepEqual(run.Reference.Own, []int32{2, 3}) {
		t.Errorf("prompt %v, reference says %v; want [0 1], [2 3]", run.Prompt, run.Reference.Own)
	}
	for _, rec := range []*Recording{run.Reference, run.Ours} {
		if !reflect.DeepEqual(rec.Meta.Tokens, p.Tokens) || !reflect.DeepEqual(rec.Meta.Steps, p.Steps) {
			t.Errorf("%s was fed %v in %v", rec.Side, rec.Meta.Tokens, rec.Meta.Steps)
		}
	}
}

// An engine that chooses itself is fed the leader's tokens all the same, says
// its own in its free pass, and its recording tells what it chose.
func TestPlanChooser(t *testing.T) {
	p := newPlan(t)
	p.Faults = []string{"chooser"}
	run, err := execute(t, p)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(run.Ours.Meta.Tokens, run.Reference.Meta.Tokens) || !reflect.DeepEqual(run.Ours.Own, []int32{5, 5}) {
		t.Errorf("fed %v, says %v", run.Ours.Meta.Tokens, run.Ours.Own)
	}
	for file, want := range map[string][]int32{run.Ours.File: {5, 5, 5}, run.Reference.File: {2, 3, 4}} {
		r, err := trace.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Meta().Choices()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: choices %v, %v, want %v", file, got, err, want)
		}
		r.Close()
	}
}

// Text is tokenized by llama.cpp when the reference takes ids only.
func TestPlanTokenizes(t *testing.T) {
	p := newPlan(t)
	p.Tokens, p.Text = nil, "12"
	run, err := execute(t, p)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(run.Prompt, []int32{1, 2}) {
		t.Errorf("prompt %v, want [1 2]", run.Prompt)
	}
}

// The other side of a trace runs its tokens in its steps, with its kind of
// cache, whichever side it is.
func TestPlanFollowsTrace(t *testing.T) {
	dir := t.TempDir()
	job := fakeJob(t)
	job.Model, job.Spec.KV = Model{Name: "m", SHA256: strings.Repeat("ab", 32)}, "f32"
	job.Tokens = []int32{0, 1, 5}
	file := filepath.Join(dir, "given.safetensors")
	job.Passes = []Pass{{Name: "record", Steps: []int{1, 1, 1}, Trace: file}}
	if _, err := do(t, newRunner(plentyOfIt), job); err != nil {
		t.Fatal(err)
	}
	for _, ours := range []bool{true, false} {
		p := newPlan(t)
		p.Tokens = nil
		if ours {
			p.Ours = Side{Trace: file}
		} else {
			p.Reference = Side{Trace: file}
		}
		run, err := execute(t, p)
		if err != nil {
			t.Fatal(err)
		}
		ran := run.Ours
		if ours {
			ran = run.Reference
		}
		if m := ran.Meta; !reflect.DeepEqual(m.Tokens, job.Tokens) || !reflect.DeepEqual(m.Steps, []int{1, 1, 1}) || m.Hparams.KVType != "f32" {
			t.Errorf("ran tokens %v in steps %v with %s", m.Tokens, m.Steps, m.Hparams.KVType)
		}
		if !reflect.DeepEqual(ran.Own, []int32{1, 2}) {
			t.Errorf("by itself it says %v, want [1 2]", ran.Own)
		}
	}
	p := newPlan(t)
	p.Ours, p.Model.SHA256 = Side{Trace: file}, strings.Repeat("cd", 32)
	var input *InputError
	if _, err := execute(t, p); !errors.As(err, &input) || !strings.Contains(err.Error(), "recorded from another model") {
		t.Errorf("error %v, want another model", err)
	}
}

func TestPlanNotes(t *testing.T) {
	p := newPlan(t)
	p.Spec.Faults = []string{"capture", "warn"}
	p.Faults = p.Spec.Faults
	run, err := execute(t, p)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(run.Notes, "\n")
	for _, want := range []string{
		"reference gives other logits while recording than without it, first at step 1",
		"reference: kernel k (tap s0000.l00.q_rope) wrote past the end; 7 launches of q_rope in all did so",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("notes lack %q:\n%s", want, all)
		}
	}
	if len(run.Warnings) != 1 || run.Warnings[0].Tap != "q_rope" || run.Warnings[0].Times != 7 {
		t.Errorf("ours is warned of %v", run.Warnings)
	}
}

// A recording that depends on the order of execution is found by repeating.
func TestPlanRepeat(t *testing.T) {
	p := newPlan(t)
	p.Repeat, p.Faults = 3, []string{"race"}
	run, err := execute(t, p)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Unstable) != 1 || run.Unstable[0].Key.String() != "s0001.l01.q_rope" || run.Unstable[0].Runs != 2 {
		t.Errorf("unstable: %v, want s0001.l01.q_rope in 2 runs", run.Unstable)
	}
	if want := filepath.Join(p.Dir, "repeat-2.safetensors"); run.Differing != want {
		t.Errorf("differing run is %q, want %q", run.Differing, want)
	}
	for repeat, want := range map[int]bool{1: false, 2: true} {
		p := newPlan(t)
		p.Repeat, p.Faults = repeat, []string{"bounds"}
		run, err := execute(t, p)
		if err != nil {
			t.Fatal(err)
		}
		if len(run.Unstable) > 0 || len(run.Warnings) > 0 != want {
			t.Errorf("repeat %d: unstable %v, warnings %v", repeat, run.Unstable, run.Warnings)
		}
	}
	left, err := os.ReadDir(p.Dir)
	if err != nil || len(left) != 3 { // both sides and the first run that differs
		t.Errorf("files left: %v %v", left, err)
	}
}

func TestMatch(t *testing.T) {
	meta := trace.Meta{ModelSHA256: strings.Repeat("ab", 32), Tokens: []int32{1, 2, 3}, Steps: []int{2, 1},
		Hparams: trace.Hparams{NLayer: 2, RMSEps: 1e-6, KVType: "f16"}}
	for _, c := range []struct {
		name   string
		change func(*trace.Meta)
		want   string // "" for no error
	}{
		{"same", func(*trace.Meta) {}, ""},
		{"cache type", func(m *trace.Meta) { m.Hparams.KVType = "f32" }, ""},
		{"float32 eps", func(m *trace.Meta) { m.Hparams.RMSEps = float64(float32(1e-6)) }, ""},
		{"unknown checksum", func(m *trace.Meta) { m.ModelSHA256 = "" }, ""},
		{"model", func(m *trace.Meta) { m.ModelSHA256 = strings.Repeat("cd", 32) }, "different models: model_sha256 abababababab... and cdcd"},
		{"hparams", func(m *trace.Meta) { m.Hparams.NLayer = 3 }, "different models: hparams - NLayer: 2, + NLayer: 3"},
		{"tokens", func(m *trace.Meta) { m.Tokens = []int32{1, 9, 3} }, "different tokens: first at position 1 of 3 and 3: - 2, + 9"},
		{"fewer tokens", func(m *trace.Meta) { m.Tokens = []int32{1, 2} }, "different tokens: first at position 2 of 3 and 2"},
		{"steps", func(m *trace.Meta) { m.Steps = []int{1, 1, 1} }, "different steps: tokens per step, first at step 0 of 2 and 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := meta
			c.change(&other)
			err := Match(&Recording{Side: Side{Trace: "a"}, Meta: meta}, &Recording{Side: Side{Trace: "b"}, Meta: other})
			if c.want == "" {
				if err != nil {
					t.Errorf("error %v, want none", err)
				}
				return
			}
			got := strings.Join(strings.Fields(errorText(err)), " ")
			if !strings.Contains(got, c.want) || strings.Contains(errorText(err), "\n") {
				t.Errorf("error %q, want %q in one line", got, c.want)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestWorkspace(t *testing.T) {
	out := filepath.Join(t.TempDir(), "new", "out")
	w, err := NewWorkspace(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty folder is left: %v", err)
	}
	if w, err = NewWorkspace(out); err != nil {
		t.Fatal(err)
	}
	draft := filepath.Join(w.Dir(), "draft")
	if err := os.WriteFile(draft, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := w.Keep(draft, "traces", "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(out); len(entries) != 1 {
		t.Errorf("left beside the result: %v", entries)
	}
	var input *InputError
	if _, err := NewWorkspace(filepath.Join(path, "below")); !errors.As(err, &input) {
		t.Errorf("a folder below a file: %v, want an InputError", err)
	}
}
