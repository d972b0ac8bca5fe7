package faults_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"attndiff/ours/emu"
	"attndiff/ours/faults"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
	"attndiff/traces/gguf"
	"attndiff/traces/synth"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// The run that every fault must show in: two KV heads of six query heads each,
// two layers, rows longer than a block that reach its last warp and do not fill
// two, more than 32 positions, a length that fills no tile, three decode steps.
const (
	prefill  = 37
	decodes  = 3
	capacity = 48
)

// recordings are a run's tensors by key.
type recordings map[tap.Key][]byte

func (r recordings) Wants(tap.Key) bool { return true }

func (r recordings) Put(k tap.Key, _ trace.DType, _ []int, raw []byte) error {
	r[k] = bytes.Clone(raw)
	return nil
}

// run plants faults in the tiny model and records the run. Checks are on, so
// that memory nobody wrote reads NaN, and not strict: a faulty run goes on.
func run(t *testing.T, f *gguf.File, planted ...faults.Fault) recordings {
	t.Helper()
	return runOn(t, f, qwen2.Unfused, planted...)
}

// runOn does so on an attention path.
func runOn(t *testing.T, f *gguf.File, path qwen2.Path, planted ...faults.Fault) recordings {
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
	m, err := qwen2.Load(dev, f, qwen2.Options{KV: "f16", Capacity: capacity, Path: path, Edit: edit})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	tokens := func(n int) []int32 {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32(r.IntN(f.Hparams.NVocab))
		}
		return ids
	}
	got := recordings{}
	for step := range 1 + decodes {
		n := 1
		if step == 0 {
			n = prefill
		}
		if _, err := m.Step(step, tokens(n), got); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// firstDifference returns the first recording, in execution order, whose bytes
// are not the clean run's.
func firstDifference(clean, faulty recordings) (tap.Key, bool) {
	var keys []tap.Key
	for k := range clean {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, tap.Key.Compare)
	i := slices.IndexFunc(keys, func(k tap.Key) bool { return !bytes.Equal(clean[k], faulty[k]) })
	if i < 0 {
		return tap.Key{}, false
	}
	return keys[i], true
}

// model opens the tiny model in that shape, or another.
func model(t *testing.T, changes ...func(*synth.Spec)) *gguf.File {
	t.Helper()
	shape := func(s *synth.Spec) { s.Embd, s.Heads, s.HeadsKV = 480, 12, 2 }
	f, err := gguf.Open(synthtest.Tiny(t, "F16", append([]func(*synth.Spec){shape}, changes...)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestEveryFaultShowsAtItsTap plants each fault alone: it must compile, run,
// and change the recordings, first at the tap it names.
func TestEveryFaultShowsAtItsTap(t *testing.T) {
	f := model(t)
	clean := run(t, f)
	if _, differs := firstDifference(clean, run(t, f)); differs {
		t.Fatal("two clean runs differ: no fault can be told by a difference")
	}
	for _, fault := range faults.Catalogue() {
		t.Run(fault.Name, func(t *testing.T) {
			t.Parallel()
			k, differs := firstDifference(clean, run(t, f, fault))
			switch {
			case !differs:
				t.Error("changes nothing")
			case k.Tap != fault.Tap:
				t.Errorf("first differs at %s, names %s", k, fault.Tap)
			}
		})
	}
}

// TestPairs plants two faults at once: both taps must differ from the clean
// run, and a pair that cannot be planted is refused with both names.
func TestPairs(t *testing.T) {
	f := model(t)
	clean := run(t, f)
	tests := []struct{ pair, conflict string }{
		{pair: "rope-interleaved,gqa-modulo"},
		{pair: "rope-sign,rope-position-off-by-one"},
		{pair: "scale-twice,scores-tile-edge"},
		{pair: "k-bias-missing,rope-q-only"},
		{pair: "rope-q-only,k-bias-missing"},
		{pair: "cache-not-written-in-decode,cache-stale-row"},
		{pair: "no-mask,mask-one-too-many", conflict: "softmax.cu"},
		{pair: "gqa-modulo,gqa-ceil", conflict: "scores.cu"},
		{pair: "no-scale,scale-by-head-dim", conflict: "kq_soft_max scale"},
	}
	for _, tt := range tests {
		t.Run(tt.pair, func(t *testing.T) {
			pair, err := faults.Select(tt.pair)
			if err != nil {
				t.Fatal(err)
			}
			if tt.conflict != "" {
				_, _, err := faults.Apply(pair, kernels.Default())
				for _, part := range []string{tt.conflict, pair[0].Name, pair[1].Name} {
					if err == nil || !strings.Contains(err.Error(), part) {
						t.Errorf("error %v, want one that names %s", err, part)
					}
				}
				return
			}
			both := run(t, f, pair...)
			for _, fault := range pair {
				alone := func(k tap.Key, _ []byte) bool { return k.Tap != fault.Tap }
				c, b := recordings{}, recordings{}
				for k, v := range clean {
					if !alone(k, v) {
						c[k], b[k] = v, both[k]
					}
				}
				if _, differs := firstDifference(c, b); !differs {
					t.Errorf("%s does not show at %s", fault.Name, fault.Tap)
				}
			}
		})
	}
}

func TestCatalogueIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range faults.Catalogue() {
		if seen[f.Name] {
			t.Errorf("%s is listed twice", f.Name)
		}
		seen[f.Name] = true
		if f.Class == "" || f.What == "" || f.Why == "" {
			t.Errorf("%s lacks a class, what or why", f.Name)
		}
		if (len(f.Patches) > 0) == (len(f.Rewrites) > 0) {
			t.Errorf("%s must be either patches or rewrites", f.Name)
		}
	}
	if least := 50; len(seen) < least {
		t.Errorf("%d faults, want at least %d", len(seen), least)
	}
}

func TestSelect(t *testing.T) {
	got, err := faults.Select(" no-scale, gqa-modulo,no-scale")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Name != "no-scale" || got[1].Name != "gqa-modulo" {
		t.Errorf("selected %v, want no-scale and gqa-modulo", got)
	}
	if got, err := faults.Select(""); err != nil || got != nil {
		t.Errorf("an empty list selected %v, %v", got, err)
	}
	for name, want := range map[string]string{
		"rope-interleave": "did you mean rope-interleaved",
		"gqa_modulo":      "gqa-modulo",
		"zzz":             "`attndiff faults` lists all",
	} {
		if _, err := faults.Select(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Select(%q): error %v, want one with %q", name, err, want)
		}
	}
}

func TestJSON(t *testing.T) {
	list, err := faults.Select("no-scale")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]string
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"name": "no-scale", "class": "scores", "tap": "kq_soft_max"} {
		if got[0][key] != want {
			t.Errorf("%s is %q, want %q", key, got[0][key], want)
		}
	}
	if got[0]["what"] == "" || got[0]["why"] == "" {
		t.Error("what or why is empty")
	}
}
