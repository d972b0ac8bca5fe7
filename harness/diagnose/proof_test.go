package diagnose

import (
	"math"
	"strings"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/harness/oracle/oracletest"
	"attndiff/harness/verdict"
	"attndiff/traces/gguf"
	"attndiff/traces/synth"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
)

// threeLayers is a model with a layer that experiments leave out of their sample.
func threeLayers(t *testing.T) *gguf.File {
	t.Helper()
	f, err := gguf.Open(synthtest.Tiny(t, "F16", func(s *synth.Spec) { s.Layers = 3 }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// causeOf diagnoses a pass at one op.
func causeOf(t *testing.T, at tap.Tap, run oracletest.Run) Diagnosis {
	t.Helper()
	ref := oracletest.Run{Model: run.Model}.Forward(t).Write(t, nil)
	ours := run.Forward(t).Write(t, nil)
	result, err := verdict.Judge(ref, ours, run.Model, verdict.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := Run(Bench{Reference: ref, Ours: ours, Model: run.Model, Result: result})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.Tap == at {
			return d
		}
	}
	t.Fatalf("no diagnosis of %s", at)
	return Diagnosis{}
}

// A cause is proven only if it accounts for the whole op.
func TestProven(t *testing.T) {
	model := threeLayers(t)
	noScale := func(k tap.Key) oracle.Semantics {
		s := oracle.Default(model.Hparams)
		if k.Tap == tap.KQSoftMax {
			s.ScoreScale = 1
		}
		return s
	}
	// tail changes what lies beyond the last whole block of 512 elements in
	// recordings of at least so many: 288 of 800 in the prefill, all in a decode.
	tail := func(least int, f func(i int, v float64) float64) func(tap.Key, []float64) {
		return func(k tap.Key, v []float64) {
			if k.Tap != tap.FFNSwiglu || len(v) < least {
				return
			}
			for i := len(v) / 512 * 512; i < len(v); i++ {
				v[i] = f(i, v[i])
			}
		}
	}
	numbers := func(i int, v float64) float64 { return 2*v + math.Sin(float64(i)) }
	for _, c := range []struct {
		name   string
		at     tap.Tap
		sem    func(tap.Key) oracle.Semantics
		edit   func(tap.Key, []float64)
		id     string
		status Status
		says   string
	}{
		{"everywhere", tap.KQSoftMax, noScale, nil, "scale-missing", Proven, ""},
		{"a norm by another measure", tap.FFNNorm, func(k tap.Key) oracle.Semantics {
			s := oracle.Default(model.Hparams)
			if k.Tap == tap.FFNNorm {
				s.NormDivisor = func(row []float64, _ float64) float64 {
					sum := 0.0
					for _, v := range row {
						sum += math.Abs(v)
					}
					return sum / float64(len(row))
				}
			}
			return s
		}, nil, "norm-mean-of-absolutes-without-eps", Proven, ""},
		{"but in one layer", tap.KQSoftMax, noScale, func(k tap.Key, v []float64) {
			if k.Tap == tap.KQSoftMax && k.Layer == 1 {
				v[0], v[len(v)-1] = v[len(v)-1], v[0]+0.25
			}
		}, "scale-missing", Likely, "does not reproduce 3 of the other"},
		{"what only a probe knows", tap.AttnOut, nil, func(k tap.Key, v []float64) {
			if k.Tap == tap.AttnOut {
				for i, x := range v {
					v[i] = formats[2].truncated(x)
				}
			}
		}, "truncated-bf16", Proven, ""},
		{"NaN made zero", tap.FFNSwiglu, nil, func(k tap.Key, v []float64) {
			switch {
			case k.Tap == tap.FFNUp && k.Layer == 0:
				v[3] = math.NaN()
			case k.Tap == tap.FFNSwiglu && k.Layer == 0:
				v[3] = 0
			}
		}, "nan-made-zero", Likely, ""},
		{"a tail of zeros", tap.FFNSwiglu, nil, tail(0, func(int, float64) float64 { return 0 }), "tail-of-512-unwritten", Proven, ""},
		{"a tail of zeros below NaN", tap.FFNSwiglu, nil, func(k tap.Key, v []float64) {
			if k.Tap == tap.FFNUp {
				v[len(v)-1] = math.NaN()
			}
			tail(0, func(int, float64) float64 { return 0 })(k, v)
		}, "tail-of-512-unwritten", Likely, ""},
		{"a tail of numbers", tap.FFNSwiglu, nil, tail(0, numbers), "unexplained", Unexplained, ""},
		{"a tail of numbers in the prefill", tap.FFNSwiglu, nil, tail(512, numbers), "tail-of-512-unwritten", Likely, "leaves 576 open"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := causeOf(t, c.at, oracletest.Run{Model: model, Semantics: c.sem, Edit: c.edit})
			if d.Cause.ID != c.id || d.Cause.Status != c.status || !strings.Contains(strings.Join(d.Evidence, "\n"), c.says) {
				t.Errorf("%s, %s: %q; want %s, %s: %q", d.Cause.ID, d.Cause.Status, d.Evidence, c.id, c.status, c.says)
			}
		})
	}
}
