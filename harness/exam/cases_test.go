package exam

import (
	"math/rand/v2"
	"slices"
	"testing"

	"attndiff/ours/faults"
	"attndiff/ours/kernels"
	"attndiff/traces/prompts"
)

func TestSingles(t *testing.T) {
	list := singles(&Model{Name: "m"}, []string{"a", "b"})
	if want := 2 * len(faults.Catalogue()); len(list) != want {
		t.Fatalf("%d cases, want every fault on both prompts: %d", len(list), want)
	}
	seen := map[string]bool{}
	for _, c := range list {
		if seen[c.String()] || len(c.Faults) != 1 || c.Kind != Single {
			t.Errorf("%s: repeated, or not one fault", c)
		}
		seen[c.String()] = true
	}
}

// Combinations are distinct, and every one can be planted.
func TestCombinations(t *testing.T) {
	for _, tt := range []struct {
		kind Kind
		k, n int
	}{{Pair, 2, pairCount}, {Triple, 3, tripleCount}} {
		list, err := combinations(&Model{Name: "m"}, tt.kind, tt.k, tt.n, []string{"a", "b"}, rand.New(rand.NewPCG(1, 0)))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, c := range list {
			names := c.names()
			slices.Sort(names)
			key := c.Kind
			for _, n := range names {
				key += Kind("," + n)
			}
			if seen[string(key)] || len(slices.Compact(names)) != tt.k {
				t.Errorf("%s: repeated, or not %d different faults", c, tt.k)
			}
			seen[string(key)] = true
			if _, _, err := faults.Apply(c.Faults, kernels.Default()); err != nil {
				t.Error(err)
			}
		}
		if len(list) != tt.n {
			t.Errorf("%d %ss, want %d", len(list), tt.kind, tt.n)
		}
	}
}

// Clean runs are many and reach every choice of cache type, threads, steps and
// attention, on every model and prompt.
func TestClean(t *testing.T) {
	models, err := variants(&Model{Name: "haiku F16"}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	names := prompts.Names()
	list := clean(models, names)
	if least := 100; len(list) < least {
		t.Errorf("%d clean runs, want at least %d", len(list), least)
	}
	chosen := map[any]bool{}
	seen := map[Setting]bool{}
	for _, c := range list {
		s := c.Setting
		if seen[s] {
			t.Errorf("%s: twice", s)
		}
		seen[s] = true
		for _, choice := range []any{s.Model, s.Prompt, s.KV, s.Flash, [2]int{0, s.Decode}, [2]int{1, s.Threads}} {
			chosen[choice] = true
		}
	}
	if want := len(models) + len(names) + 2 + 2 + 4 + 3; len(chosen) != want {
		t.Errorf("%d different choices made, want %d", len(chosen), want)
	}
}

// A sample holds every fault once before any twice.
func TestSample(t *testing.T) {
	all := singles(&Model{Name: "m"}, []string{"a", "b", "c"})
	n := len(faults.Catalogue()) + 1
	times := map[string]int{}
	for _, c := range sample(all, n, rand.New(rand.NewPCG(5, 0))) {
		times[c.Faults[0].Name]++
	}
	twice := 0
	for _, k := range times {
		if k > 1 {
			twice += k - 1
		}
	}
	if len(times) != n-1 || twice != 1 {
		t.Errorf("%d faults, %d repeats; want all %d and one repeat", len(times), twice, n-1)
	}
	if got := sample(all, 0, nil); len(got) != len(all) {
		t.Errorf("a sample of 0 holds %d of %d cases; 0 means all", len(got), len(all))
	}
}

func TestWants(t *testing.T) {
	chosen, err := faults.Select("no-scale,no-mask")
	if err != nil {
		t.Fatal(err)
	}
	pair := Case{Kind: Pair, Setting: Setting{Prompt: "a"}, Faults: chosen}
	none := Case{Kind: Clean, Setting: Setting{Prompt: "b"}}
	for _, tt := range []struct {
		e          Exam
		pair, none bool
	}{
		{Exam{}, true, true},
		{Exam{Faults: chosen[:1]}, true, false},
		{Exam{Prompts: []string{"b"}}, false, true},
		{Exam{Faults: chosen[:1], Prompts: []string{"b"}}, false, false},
	} {
		if got := tt.e.wants(pair); got != tt.pair {
			t.Errorf("faults %v, prompts %v: the pair is wanted: %v", tt.e.Faults, tt.e.Prompts, got)
		}
		if got := tt.e.wants(none); got != tt.none {
			t.Errorf("faults %v, prompts %v: the clean run is wanted: %v", tt.e.Faults, tt.e.Prompts, got)
		}
	}
}
