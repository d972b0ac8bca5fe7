package exam

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"attndiff/harness/comparison"
	"attndiff/harness/verdict"
	"attndiff/ours/emu"
	"attndiff/ours/faults"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
	"attndiff/traces/gguf"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// faulty records a short run of ours on the tiny model with faults planted.
func faulty(t *testing.T, model *gguf.File, planted []faults.Fault) *comparison.Seen {
	t.Helper()
	src, edit, err := faults.Apply(planted, kernels.Default())
	if err != nil {
		t.Fatal(err)
	}
	dev, err := emu.Open(src, emu.Options{Checks: true})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	tokens := []int32{5, 9, 2, 77, 31, 8}
	m, err := qwen2.Load(dev, model, qwen2.Options{KV: "f16", Capacity: len(tokens), Edit: edit})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ours.safetensors")
	w, err := trace.Create(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	steps := []int{4, 1, 1}
	fed := tokens
	for step, n := range steps {
		if _, err := m.Step(step, fed[:n], w); err != nil {
			t.Fatal(err)
		}
		fed = fed[n:]
	}
	hp := model.Hparams
	hp.KVType = "f16"
	sum, err := model.SHA256()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(trace.Meta{Engine: "ours:emu", ModelSHA256: sum, ModelName: model.Name, Hparams: hp, Tokens: tokens, Steps: steps}); err != nil {
		t.Fatal(err)
	}
	ours, err := trace.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	// Its own reference: only the allowances matter here.
	result, err := verdict.Judge(ours, ours, model, verdict.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &comparison.Seen{Trace: ours, Result: result}
}

// The ops that a fault makes wrong come out of replaying the run without it,
// also beside another fault, and downstream of it.
func TestLocate(t *testing.T) {
	model, err := gguf.Open(synthtest.Tiny(t, "F16"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	tests := []struct {
		fault, beside string
		taps          []tap.Tap
		first         tap.Key
	}{
		{"", "", nil, tap.Key{}},
		{"gqa-modulo", "", []tap.Tap{tap.KQ, tap.KQV}, tap.At(0, 0, tap.KQ)},
		{"gqa-modulo", "k-bias-missing", []tap.Tap{tap.KQ, tap.KQV}, tap.At(0, 0, tap.KQ)},
		{"k-bias-missing", "gqa-modulo", []tap.Tap{tap.KBias}, tap.At(0, 0, tap.KBias)},
		{"cache-stale-row", "", []tap.Tap{tap.KCache, tap.VCache}, tap.At(1, 0, tap.KCache)},
		{"k-cache-wrong-layer", "", []tap.Tap{tap.KQ}, tap.At(0, 1, tap.KQ)},
	}
	for _, tt := range tests {
		t.Run(tt.fault+" beside "+tt.beside, func(t *testing.T) {
			fault, err := faults.Select(tt.fault)
			if err != nil {
				t.Fatal(err)
			}
			beside, err := faults.Select(tt.beside)
			if err != nil {
				t.Fatal(err)
			}
			truth, err := locate(model, beside, false, faulty(t, model, slices.Concat(fault, beside)))
			if err != nil {
				t.Fatal(err)
			}
			var taps []tap.Tap
			for _, k := range truth.Must {
				if !slices.Contains(taps, k.Tap) {
					taps = append(taps, k.Tap)
				}
			}
			slices.Sort(taps)
			if !slices.Equal(taps, tt.taps) {
				t.Fatalf("wrong at %v, want %v", taps, tt.taps)
			}
			if tt.taps == nil {
				if truth.Why == "" {
					t.Error("nothing must be called wrong, and no reason is given")
				}
			} else if truth.Must[0] != tt.first {
				t.Errorf("starts at %s, want %s", truth.Must[0], tt.first)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	tests := []struct {
		name               string
		right, recorded    []float32
		same, hides, blind bool
		finite             bool // nmse is
	}{
		{"the same", []float32{1, 2}, []float32{1, 2}, true, false, false, true},
		{"another number", []float32{1, 2}, []float32{1, 3}, false, false, false, true},
		{"NaN for a number", []float32{1, 2}, []float32{1, nan}, false, false, false, false},
		{"NaN for NaN", []float32{1, nan}, []float32{1, nan}, true, false, false, true},
		{"a number for NaN", []float32{1, nan}, []float32{1, 2}, false, true, false, true},
		{"a number for NaN everywhere", []float32{nan, nan}, []float32{1, 2}, false, true, true, true},
		{"a number for an infinity", []float32{1, inf}, []float32{1, 2}, false, true, false, true},
		{"the other infinity", []float32{1, inf}, []float32{1, -inf}, false, true, false, true},
		{"NaN for an infinity", []float32{1, inf}, []float32{1, nan}, true, false, false, true},
		{"an infinity beside rounding", []float32{1, inf}, []float32{1.0000001, inf}, false, false, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := compare(tt.right, tt.recorded, []int{1, 2})
			if c.same != tt.same || c.hides != tt.hides || c.blind != tt.blind || finite(float32(c.nmse)) != tt.finite {
				t.Errorf("%+v", c)
			}
		})
	}
}
