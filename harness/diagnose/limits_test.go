package diagnose

import (
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/harness/verdict"
	"attndiff/traces/gguf"
	"attndiff/traces/synth"
	"attndiff/traces/tap"
)

// smallModel writes a random model of small's shape.
func smallModel(t *testing.T, zeroBiases bool) *gguf.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "small.gguf")
	err := synth.Write(path, synth.Spec{Name: "small", Layers: small.NLayer, Embd: small.NEmbd, Heads: small.NHead, HeadsKV: small.NHeadKV,
		FF: small.NFF, Vocab: small.NVocab, Context: 512, RopeBase: small.RopeFreqBase, RMSEps: small.RMSEps, Type: "F32", Seed: 1,
		ZeroBiases: zeroBiases})
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// limitsOf are the limits of a made-up run.
func limitsOf(t *testing.T, steps []int, zeroBiases bool, adjust func(*Bench)) []Limit {
	t.Helper()
	r := madeUp(t, 1, steps, plain)
	b := bench(t, r, r, nil)
	b.Model = smallModel(t, zeroBiases)
	if adjust != nil {
		adjust(&b)
	}
	got, err := Limits(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range got {
		if l.What == "" || l.Why == "" || l.Show == "" {
			t.Errorf("incomplete: %+v", l)
		}
	}
	return got
}

// find returns the limit with text in its reason.
func find(limits []Limit, why string) (Limit, bool) {
	i := slices.IndexFunc(limits, func(l Limit) bool { return strings.Contains(l.Why, why) })
	if i < 0 {
		return Limit{}, false
	}
	return limits[i], true
}

func hides(limits []Limit, mistake string) bool {
	return slices.ContainsFunc(limits, func(l Limit) bool { return slices.Contains(l.Mistakes, mistake) })
}

// What a run hides follows from its shape: the same mistakes are made on each.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name       string
		steps      []int
		zeroBiases bool
		why        string   // the reason that must be given
		what       []string // in its words
		hidden     []string // mistakes that cannot show
		seen       []string // mistakes that do
	}{
		{name: "one token", steps: []int{1}, why: "at position 0", what: []string{"RoPE of Q", "mask", "scale", "head map", "strides"},
			hidden: []string{"rope-interleaved-pairs", "rope-base-10000", "rope-position-not-advanced"},
			seen:   []string{"rope-position-one-ahead"}},
		{name: "prefill alone", steps: []int{8}, why: "nothing was decoded", what: []string{"position"},
			hidden: []string{"rope-position-not-advanced"},
			seen:   []string{"rope-interleaved-pairs", "rope-position-constant"}},
		{name: "one token a step", steps: []int{1, 1, 1, 1}, why: "fed one token", what: []string{"position", "mask"},
			hidden: []string{"rope-position-constant"},
			seen:   []string{"rope-interleaved-pairs", "rope-position-not-advanced"}},
		{name: "prefill and decode", steps: []int{6, 1, 1}, why: "end within a block of threads", what: []string{"tails of blocks"},
			seen: []string{"rope-interleaved-pairs", "rope-position-not-advanced", "rope-position-constant"}},
		{name: "zero biases", steps: []int{6, 1, 1}, zeroBiases: true, why: "bias of Q, bias of K and bias of V: zero", what: []string{"bias of K"},
			seen: []string{"rope-interleaved-pairs"}},
	} {
		got := limitsOf(t, c.steps, c.zeroBiases, nil)
		l, ok := find(got, c.why)
		if !ok {
			t.Errorf("%s: no reason with %q in %+v", c.name, c.why, got)
		}
		for _, word := range c.what {
			if !strings.Contains(l.What, word) {
				t.Errorf("%s: %q does not name %q", c.name, l.What, word)
			}
		}
		for _, m := range c.hidden {
			if !slices.Contains(l.Mistakes, m) {
				t.Errorf("%s: %s is not among what %q hides", c.name, m, l.Why)
			}
		}
		for _, m := range c.seen {
			if hides(got, m) {
				t.Errorf("%s: %s is said to be hidden", c.name, m)
			}
		}
		if zero, ok := find(got, "zero in every layer"); ok != c.zeroBiases {
			t.Errorf("%s: %+v", c.name, zero)
		}
	}
}

// Every mistake of the catalogue is either seen in a run or named as hidden,
// and the answer is the same each time.
func TestLimitsAreComplete(t *testing.T) {
	steps := []int{6, 1, 1}
	first := limitsOf(t, steps, false, nil)
	if again := limitsOf(t, steps, false, nil); !reflect.DeepEqual(first, again) {
		t.Errorf("two answers: %+v and %+v", first, again)
	}
	r := madeUp(t, 1, steps, plain)
	b := bench(t, r, r, nil)
	b.Model = smallModel(t, false)
	b.prepare()
	all, err := b.trials()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		if x.left > 0 {
			t.Errorf("%s at %s is out of budget in a run of 8 tokens", x.ID, x.tap)
		}
		named := hides(first, x.ID) || x.elsewhere(all) || !b.scope().possible(x)
		if x.hidden() && !named {
			t.Errorf("%s at %s changes nothing and is not named", x.ID, x.tap)
		}
	}
}

func TestLimitsOfWhatWasRecorded(t *testing.T) {
	drop := func(gone func(tap.Key) bool, composed ...tap.Tap) func(*Bench) {
		return func(b *Bench) {
			b.Result.Taps = slices.DeleteFunc(b.Result.Taps, func(v verdict.Tap) bool { return gone(v.Key) })
			for i := range b.Result.Taps {
				if b.Result.Taps[i].Key.Tap == tap.KQV {
					b.Result.Taps[i].Composed = composed
				}
			}
		}
	}
	for _, c := range []struct {
		name      string
		adjust    func(*Bench)
		what, why string
	}{
		{"no model", func(b *Bench) { b.Model = nil }, "rounding", "model is not known"},
		{"no logits", drop(func(k tap.Key) bool { return k.Tap == tap.ResultOutput }), "result_output", "did not record it"},
		{"a gap", drop(func(k tap.Key) bool { return k.Tap == tap.KQ }, tap.KQ), "which of kq is wrong", "across the gap"},
		{"one layer", drop(func(k tap.Key) bool { return k.Layer == 1 }), "one layer alone", "1 of 2 layers"},
	} {
		got := limitsOf(t, []int{4, 1}, false, c.adjust)
		l, ok := find(got, c.why)
		if !ok || !strings.Contains(l.What, c.what) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestExcess(t *testing.T) {
	right := oracle.Value{Shape: []int{2, 2}, Data: []float64{1, 1, 1, 0}, Noise: []float64{1e-12, 1e-12, 1e-12, 0}}
	j := verdict.Tap{Allowance: 1e-4}
	for _, c := range []struct {
		name  string
		wrong []float64
		seen  bool
	}{
		{"same", []float64{1, 1, 1, 0}, false},
		{"within", []float64{1, 1, 1.001, 0}, false},
		{"one row out", []float64{1, 1, 1.1, 0}, true},
		{"unwritten", []float64{1, math.NaN(), 1, 0}, true},
		{"infinite", []float64{1, math.Inf(1), 1, 0}, true},
		{"other shape", []float64{1}, true},
	} {
		wrong := right
		wrong.Data = c.wrong
		if got := excess(wrong, right, j); (got > 1) != c.seen {
			t.Errorf("%s: %g", c.name, got)
		}
	}
	none := oracle.Value{Shape: []int{1, 1}, Data: []float64{0}, Noise: []float64{0}}
	some := none
	some.Data = []float64{1e-30}
	if got := excess(some, none, verdict.Tap{Allowance: math.NaN()}); !(got > 1) {
		t.Errorf("a difference where equality is owed: %g", got)
	}
}

func TestProse(t *testing.T) {
	for want, words := range map[string][]string{"": nil, "a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"}} {
		if got := prose(words); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
