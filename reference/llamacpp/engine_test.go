package llamacpp_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"attndiff/reference/llamacpp"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// TestCaptureChangesNothing expects the logits of runs with capture, without,
// with capture of some taps and with capture of some steps to be the same bit
// for bit, and so the recordings. The runs follow one another on one engine,
// so that llama.cpp is tempted to reuse graphs that keep other tensors.
func TestCaptureChangesNothing(t *testing.T) {
	for _, cfg := range variants {
		t.Run(name(cfg), func(t *testing.T) {
			e := open(t, "F16", cfg)
			ids := prompt(e, promptLen)
			want := generate(t, e, ids, decodes, never)

			full, part, mixed, sparse := newMemory(), newMemory(), newMemory(), newMemory()
			part.only = func(k tap.Key) bool { return k.Layer == 1 && (k.Tap == tap.VCache || k.Tap == tap.FFNUp) }
			mixed.only = func(k tap.Key) bool { return (int(k.Tap)+k.Step)%2 == 0 }
			sparse.only = func(k tap.Key) bool { return k.Step%2 == 1 }
			for _, run := range []struct {
				what string
				sink func(int) trace.Sink
			}{
				{"all taps", always(full)},
				{"no taps again", never},
				{"two taps", always(part)},
				{"other taps every step", always(mixed)},
				{"every other step", func(step int) trace.Sink {
					if step%2 == 0 {
						return nil
					}
					return sparse
				}},
			} {
				e.Reset()
				for step, logits := range generate(t, e, ids, decodes, run.sink) {
					if !sameBits(logits, want[step]) {
						t.Fatalf("%s: logits of step %d differ from those without capture", run.what, step)
					}
				}
			}
			if len(full.order) == 0 {
				t.Fatal("nothing was recorded")
			}
			for _, m := range []*memory{part, mixed, sparse} {
				m.expectSome(t, full)
			}
		})
	}
}

// TestThreadsAndTypes expects each weight type to load and run, and one and
// two threads to give the same logits.
func TestThreadsAndTypes(t *testing.T) {
	for _, typ := range []string{"F32", "F16", "BF16", "Q8_0"} {
		t.Run(typ, func(t *testing.T) {
			one := open(t, typ, llamacpp.Config{Threads: 1})
			two := open(t, typ, llamacpp.Config{Threads: 2})
			a := generate(t, one, prompt(one, 20), 3, never)
			b := generate(t, two, prompt(two, 20), 3, always(newMemory()))
			for step := range a {
				if !sameBits(a[step], b[step]) {
					t.Errorf("step %d differs between one and two threads", step)
				}
			}
		})
	}
}

// TestIdentity checks what an engine says of itself against the spec that the
// model was written from.
func TestIdentity(t *testing.T) {
	e := open(t, "F16", llamacpp.Config{KV: "f32", Threads: 2})
	want := trace.Hparams{
		NLayer: 2, NEmbd: 128, NHead: 4, NHeadKV: 2, HeadDim: 32, NFF: 160, NVocab: 300,
		RopeFreqBase: 1e6, RopeType: "neox", RMSEps: float64(float32(1e-6)), KVType: "f32",
	}
	if diff := cmp.Diff(want, e.Hparams()); diff != "" {
		t.Errorf("hyperparameters (-want +got):\n%s", diff)
	}
	if !strings.HasSuffix(e.Device(), ", 2 threads") {
		t.Errorf("device is %q", e.Device())
	}
	if ok, _ := regexp.MatchString(`^llama\.cpp [0-9a-f]{9,40} \(ollama v0\.\d+\.\d+\)$`, llamacpp.Version()); !ok {
		t.Errorf("version is %q", llamacpp.Version())
	}
}

// TestContext expects an engine that is given no context to take the model's,
// and a prompt that fills it to run.
func TestContext(t *testing.T) {
	e, err := llamacpp.Open(llamacpp.Config{Model: synthtest.Tiny(t, "F16"), Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.Context() != 2048 {
		t.Errorf("context is %d, the model's is 2048", e.Context())
	}
	small := open(t, "F16", llamacpp.Config{Context: 7})
	if _, err := small.Step(0, prompt(small, 7), newMemory()); err != nil {
		t.Error(err)
	}
}

// TestSinkError expects the sink's own error to come back.
func TestSinkError(t *testing.T) {
	e := open(t, "F16", llamacpp.Config{})
	if _, err := e.Step(0, prompt(e, 3), full{}); !errors.Is(err, errFull) {
		t.Errorf("a sink that fails gives %v", err)
	}
}

var errFull = errors.New("no space left on device")

// full is a sink that cannot take anything.
type full struct{}

func (full) Wants(tap.Key) bool                            { return true }
func (full) Put(tap.Key, trace.DType, []int, []byte) error { return errFull }
