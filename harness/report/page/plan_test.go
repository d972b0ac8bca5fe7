package page

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"attndiff/harness/report"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// The plan begins with the first divergence, then the findings, then draws
// every tap, and its pictures fit the budget whatever the sizes.
func TestPlan(t *testing.T) {
	in := made{damage: func(k tap.Key, shape []int, v []float32) []int {
		if k.Layer == 1 && (k.Tap == tap.KBias || k.Tap == tap.FFNUp) {
			v[0] = 50
		}
		return shape
	}}.input(t)
	s := newSource(in.Reference, in.Ours, in.Report)
	got, rest := s.affordable(wishes(in.Report, s), pictureBudget)
	if len(rest) > 0 {
		t.Errorf("no room for %v", rest)
	}
	if got[0] != (choice{tap.KBias, 1}) {
		t.Errorf("drawn first is %v of layer %d", got[0].tap, got[0].layer)
	}
	if take, rest := s.affordable(got, s.cost(tap.KBias)); len(take) != 1 || take[0] != got[0] || len(rest) != len(got)-1 {
		t.Errorf("with room for one %v is drawn", take)
	}
	drawn := map[tap.Tap]int{}
	for _, c := range got {
		drawn[c.tap]++
	}
	if len(drawn) != int(tap.Count) || drawn[tap.LOut] != 2 || drawn[tap.ResultNorm] != 1 {
		t.Errorf("drawn are %v", drawn)
	}
}

// However large a model is, what is drawn of it costs no more than the budget.
func TestBudget(t *testing.T) {
	in := made{}.input(t)
	s := newSource(in.Reference, in.Ours, in.Report)
	for _, d := range []tap.Dims{
		{T: 14, P: 8, E: 896, H: 14, G: 2, D: 64, F: 512, V: 2048},
		{T: 251, P: 16, E: 896, H: 14, G: 2, D: 64, F: 4864, V: 151936},
		{T: 4096, P: 64, E: 8192, H: 64, G: 8, D: 128, F: 49152, V: 152064},
		{T: 1, P: 0, E: 5120, H: 40, G: 40, D: 128, F: 27648, V: 152064},
	} {
		s.first, s.columns, s.steps = []int{0, d.T, d.T + d.P}, d.T+d.P, []int{0, 1}
		total, one := 0, 0
		for _, of := range tap.All() {
			c := s.costOf(of, d)
			total += c
			one = max(one, c)
		}
		if one > pictureBudget/2 {
			t.Errorf("%+v: one tap takes %d of %d", d, one, pictureBudget)
		}
		t.Logf("%+v: all taps once take %d of %d", d, total, pictureBudget)
	}
}

// A report of many layers and steps stays within the page's size, with every
// list at its longest.
func TestLargeReport(t *testing.T) {
	in := made{decode: func(ids []int32) string { return strings.Repeat("<&>", len(ids)) }}.input(t)
	r := in.Report
	r.Model.NLayer = 128
	index := []int{1000, 13, 1000}
	why := strings.Repeat("a long reason ", 20)
	r.Taps = nil
	for step := range 40 {
		for layer := range 128 {
			for _, of := range tap.All() {
				l := &layer
				if !of.PerLayer() {
					if layer > 0 {
						continue
					}
					l = nil
				}
				r.Taps = append(r.Taps, report.Tap{Step: step, Layer: l, Tap: of.String(), Shape: []int{1, 2, 3}, Status: verdict.Introduced,
					Drift: 1.2345e-3, OpOurs: 1.2345e-3, OpRef: 1e-9, Allowance: 1e-8, Index: index, Why: why})
			}
		}
	}
	for _, of := range tap.All() {
		f := report.Finding{ID: of.String(), Tap: of.String(), Severity: report.Critical, Cause: report.Cause{Title: why, Status: "proven"}, Fix: why}
		f.Evidence.Why, f.Evidence.Observed, f.Evidence.Index = why, slices.Repeat([]string{why}, 6), index
		r.Findings = append(r.Findings, f)
	}
	r.Prompt.Text = strings.Repeat("<&>", 100_000)
	ids := make([]int32, 10_000)
	for i := range ids {
		ids[i] = int32(i % 64)
	}
	r.Tokens = report.Pair[[]int32]{Reference: ids, Ours: slices.Repeat([]int32{1}, 10_000)}
	for i := range 5000 {
		r.Unstable = append(r.Unstable, report.Unstable{Step: i, Tap: "kq", Runs: 1})
		r.Cleared = append(r.Cleared, report.Cleared{What: why, Why: why, Where: report.Recording{Tap: "kq", Index: index}})
	}
	text := rendered(t, in)
	if len(text) > MaxBytes {
		t.Errorf("the page has %d bytes", len(text))
	}
	rest := MaxBytes - pictureBudget
	pictures := strings.Count(text, "data:image/png")
	for _, p := range strings.Split(text, "data:image/png")[1:] {
		pictures += strings.IndexByte(p, '"')
	}
	if n := len(text) - pictures; n > rest {
		t.Errorf("without its pictures the page has %d bytes, at most %d are left for that", n, rest)
	}
}

// However little is read at a time, the pictures are the same.
func TestBlocks(t *testing.T) {
	in := made{damage: changed(tap.KQ, 2, inf)}.input(t)
	s := newSource(in.Reference, in.Ours, in.Report)
	for _, of := range tap.All() {
		layer := 1
		if !of.PerLayer() {
			layer = tap.NoLayer
		}
		var panels []panel
		for _, s.block = range []int{1, 100, blockValues} {
			st := s.newStack(of, layer)
			if err := st.fill(&reading{source: s}); err != nil {
				t.Fatal(err)
			}
			panels = append(panels, st.panel(s))
		}
		if !reflect.DeepEqual(panels[0], panels[2]) || !reflect.DeepEqual(panels[1], panels[2]) {
			t.Errorf("%s has other pictures when it is read in parts", of)
		}
	}
}

// A run of the shipped model's geometry, all of it noise, which packs worst,
// fills the page and does not burst it.
func TestFullPage(t *testing.T) {
	hp := trace.Hparams{NLayer: 4, NEmbd: 896, NHead: 14, NHeadKV: 2, HeadDim: 64, NFF: 512, NVocab: 2048,
		RopeFreqBase: 1e6, RopeType: "neox", RMSEps: 1e-6, KVType: "f16"}
	in := made{hp: hp, steps: []int{150, 1, 1}, decode: func(ids []int32) string { return strings.Repeat("word ", len(ids)) },
		damage: func(k tap.Key, shape []int, v []float32) []int {
			for i := range v {
				v[i] += value(k, i+7) * float32(math.Pow(10, -3-2*float64(value(k, i+9))))
			}
			return shape
		}}.input(t)
	if n := len(rendered(t, in)); n > MaxBytes || n < pictureBudget*9/10 {
		t.Errorf("the page has %d bytes of %d, of which pictures should take most of %d", n, MaxBytes, pictureBudget)
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		n, many int
		want    string
	}{{0, 3, "[]"}, {2, 3, "[0 1]"}, {10, 3, "[0 3 6]"}, {3, 3, "[0 1 2]"}} {
		if got := fmt.Sprint(spread(c.n, c.many)); got != c.want {
			t.Errorf("%d of %d are %s, want %s", c.many, c.n, got, c.want)
		}
	}
}

// Steps that the report speaks of are drawn even when there are many.
func TestSteps(t *testing.T) {
	steps := append([]int{3}, slices.Repeat([]int{1}, 500)...)
	in := made{steps: steps, hp: trace.Hparams{NLayer: 1, NEmbd: 2, NHead: 1, NHeadKV: 1, HeadDim: 2, NFF: 2, NVocab: 9,
		RopeFreqBase: 1e6, RopeType: "neox", RMSEps: 1e-6, KVType: "f16"},
		wants: func(k tap.Key, _ bool) bool { return k.Tap == tap.LOut }}.input(t)
	in.Report.First = &report.Divergence{Step: 333}
	in.Report.Findings = []report.Finding{{Evidence: report.Evidence{Step: 77}}}
	s := newSource(in.Reference, in.Ours, in.Report)
	if len(s.steps) > shownSteps || !slices.IsSorted(s.steps) {
		t.Errorf("%d steps: %v", len(s.steps), s.steps)
	}
	for _, want := range []int{0, 77, 333, 500} {
		if !slices.Contains(s.steps, want) {
			t.Errorf("step %d is not drawn", want)
		}
	}
	if s.rows() != 3+len(s.steps)-1 || s.columns != 503 {
		t.Errorf("%d rows, %d columns", s.rows(), s.columns)
	}
}
