package evidence_test

import (
	"path/filepath"
	"testing"

	"attndiff/harness/engines"
	"attndiff/harness/evidence"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/ours/kernels"
	"attndiff/traces/execution"
	"attndiff/traces/models"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// TestRecording holds the emulator, which any machine has, to what the GPU
// recorded of the same kernels: every op of both within its own rounding, and
// the drift between them no more than that explains. Products are cuBLAS's on
// one side, so bit equality is not owed.
func TestRecording(t *testing.T) {
	dir := filepath.Join("..", "..", evidence.Folder)
	if err := evidence.Check(dir); err != nil {
		t.Skip(err)
	}
	model, err := models.Path()
	if err != nil {
		t.Fatal(err)
	}
	recording := filepath.Join(dir, evidence.Recording)
	sameKernels(t, recording)
	hold(t, recording, model, verdict.Parity)
}

// sameKernels expects the kernels that a recording launched to be today's,
// letter for letter; others beside them may have changed.
func sameKernels(t *testing.T, recording string) {
	t.Helper()
	r, err := trace.Open(recording)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	notes := execution.Notes(r.Meta().Notes)
	ran, err := notes.Sources()
	if err != nil {
		t.Fatal(err)
	}
	today := map[string]string{}
	for _, f := range kernels.Default().Files() {
		today[f.Name] = f.Text
	}
	files := map[string]bool{}
	for step := range execution.Phases {
		l, err := notes.Launches(step)
		if err != nil || l == nil {
			t.Fatalf("step %d: launches %v, %v", step, l, err)
		}
		for _, op := range l.List {
			if op.Launch != nil {
				files[op.Launch.File] = true
			}
		}
	}
	if len(files) < 5 {
		t.Errorf("the recording names %d files of kernels only", len(files))
	}
	for f := range files {
		if ran[f] == "" || ran[f] != today[f] {
			t.Errorf("%s changed since the recording: run scripts/gpu-run.sh", f)
		}
	}
}

// TestHold: hold passes a recording of the emulator's own and fails one with a
// fault, so that TestRecording can fail.
func TestHold(t *testing.T) {
	model := synthtest.Tiny(t, "F16")
	right, wrong := filepath.Join(t.TempDir(), "right"), filepath.Join(t.TempDir(), "wrong")
	steps := []int{5, 1}
	ids := []int32{1, 2, 3, 4, 5, 6}
	record(t, right, model, "f16", ids, steps, tap.All())
	record(t, wrong, model, "f16", ids, steps, tap.All(), "rope-interleaved")
	hold(t, right, model, verdict.Parity)
	hold(t, wrong, model, verdict.Divergence)
}

// hold runs the emulator on a recording's tokens in its steps and expects an
// outcome of judging the recording against it.
func hold(t *testing.T, recording, model string, want verdict.Outcome) {
	t.Helper()
	theirs, err := trace.Open(recording)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	meta := theirs.Meta()
	recorded := map[tap.Tap]bool{}
	for _, k := range theirs.Keys() {
		recorded[k.Tap] = true
	}
	var taps []tap.Tap
	for k := range recorded {
		taps = append(taps, k)
	}
	path := filepath.Join(t.TempDir(), "emulator.safetensors")
	record(t, path, model, meta.Hparams.KVType, meta.Tokens, meta.Steps, taps)
	ours, err := trace.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	file, err := engines.OpenModel(model)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	result, err := verdict.Judge(ours, theirs, file, verdict.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if result.Outcome != want {
		t.Errorf("%s against %s: %s, want %s", meta.Device, ours.Meta().Device, result.Outcome, want)
		for _, r := range result.Taps {
			if r.Status != verdict.OK && r.Status != verdict.Inherited {
				t.Logf("%v: %s: %s", r.Key, r.Status, r.Why)
			}
		}
	}
}

// record makes a recording of the emulator.
func record(t *testing.T, path, model, kv string, ids []int32, steps []int, taps []tap.Tap, faults ...string) {
	t.Helper()
	e, err := engines.Open(session.Spec{Engine: engines.OursEmu, Model: model, KV: kv, Context: len(ids), Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	info := e.Info()
	w, err := trace.Create(path, len(steps)*info.Hparams.NLayer*int(tap.Count))
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for step, n := range steps {
		if _, err := e.Step(step, ids[at:at+n], trace.Filter{Sink: w, Taps: taps}); err != nil {
			t.Fatal(err)
		}
		at += n
	}
	err = w.Close(trace.Meta{Engine: info.Engine, EngineVersion: info.Version, Device: info.Device, ModelName: "test",
		ModelSHA256: "0000000000000000000000000000000000000000000000000000000000000000", Hparams: info.Hparams, Tokens: ids, Steps: steps})
	if err != nil {
		t.Fatal(err)
	}
}
