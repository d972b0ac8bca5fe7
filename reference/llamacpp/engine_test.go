package llamacpp_test

import (
	"testing"

	"attndiff/reference/llamacpp"
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
