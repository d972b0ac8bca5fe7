package exam

import (
	"strings"
	"testing"

	"attndiff/harness/diagnose"
	"attndiff/harness/verdict"
	"attndiff/ours/faults"
	"attndiff/traces/tap"
)

// judgedAs is a verdict that calls these recordings wrong, of all taps of two
// layers and two steps.
func judgedAs(wrong ...tap.Key) *verdict.Result {
	r := &verdict.Result{Outcome: verdict.Parity, Oracle: true}
	for step := range 2 {
		for layer := range 2 {
			for _, t := range []tap.Tap{tap.QRope, tap.KRope, tap.KQ, tap.KQSoftMax, tap.KQV} {
				r.Taps = append(r.Taps, verdict.Tap{Key: tap.At(step, layer, t), Status: verdict.OK})
			}
		}
	}
	for i := range r.Taps {
		for _, k := range wrong {
			if r.Taps[i].Key == k {
				r.Taps[i].Status, r.Outcome = verdict.Introduced, verdict.Divergence
			}
		}
		if r.First == nil && r.Taps[i].Status == verdict.Introduced {
			r.First = &r.Taps[i]
		}
	}
	return r
}

func TestMark(t *testing.T) {
	first, later, other := tap.At(0, 0, tap.KQ), tap.At(1, 1, tap.KQ), tap.At(0, 1, tap.KQV)
	truth := Truth{Must: []tap.Key{first, later}, May: []tap.Key{other}}
	tests := []struct {
		name                string
		truth               Truth
		wrong               []tap.Key
		cause               string
		detected, op, place bool
		right               bool
		alarms              int
	}{
		{"all found and named", truth, []tap.Key{first, later}, "scores-scaled-early", true, true, true, true, 0},
		{"a faint one found too", truth, []tap.Key{first, later, other}, "scores-scaled-early", true, true, true, true, 0},
		{"named wrong", truth, []tap.Key{first, later}, "scores-odd-dims", true, true, true, false, 0},
		{"named with another", truth, []tap.Key{first, later}, "f16-accumulation+scores-scaled-early", true, true, true, true, 0},
		{"nothing found", truth, nil, "", false, false, false, false, 0},
		{"one recording missed", truth, []tap.Key{first}, "scores-scaled-early", true, true, false, true, 0},
		{"found late", truth, []tap.Key{later}, "scores-scaled-early", true, false, false, true, 0},
		{"another op blamed", truth, []tap.Key{tap.At(0, 0, tap.QRope), first, later}, "scores-scaled-early", true, false, false, true, 1},
		{"does not show", Truth{Why: "changes no bit of the run"}, nil, "", false, false, false, false, 0},
	}
	planted, err := faults.Select("scale-twice")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var causes []diagnose.Diagnosis
			if tt.cause != "" {
				causes = []diagnose.Diagnosis{{Tap: tap.KQ, Cause: diagnose.Cause{ID: tt.cause, Status: diagnose.Proven}}}
			}
			m := mark(Case{Kind: Single, Faults: planted}, []Truth{tt.truth}, judgedAs(tt.wrong...), causes)
			got := m.Members[0]
			if got.Detected != tt.detected || got.Op != tt.op || got.Place != tt.place || len(m.Alarms) != tt.alarms {
				t.Errorf("detected %v, op %v, place %v, alarms %q", got.Detected, got.Op, got.Place, m.Alarms)
			}
			if right := len(got.Right) == 1 && got.Right[0]; right != tt.right || len(got.Equal) == 1 && got.Equal[0] {
				t.Errorf("named %v: right %v", got.Named, got.Right)
			}
		})
	}
}

// A cause that is not the mistake counts as equal where the diagnosis says that
// the mistake does as well, and only there.
func TestMarkEqual(t *testing.T) {
	planted, err := faults.Select("scale-twice")
	if err != nil {
		t.Fatal(err)
	}
	k := tap.At(0, 0, tap.KQ)
	for equal, want := range map[string]bool{"scores-scaled-early": true, "scores-odd-dims": false} {
		named := []diagnose.Diagnosis{{Tap: tap.KQ, Equal: []string{equal},
			Cause: diagnose.Cause{ID: "scores-over-head-dim", Status: diagnose.Likely}}}
		m := mark(Case{Kind: Single, Faults: planted}, []Truth{{Must: []tap.Key{k}}}, judgedAs(k), named)
		if got := m.Members[0]; got.Right[0] || got.Equal[0] != want {
			t.Errorf("with %s as equal: right %v, equal %v", equal, got.Right, got.Equal)
		}
	}
}

// Two faults at one run: each is held against its own truth.
func TestMarkPair(t *testing.T) {
	planted, err := faults.Select("scale-twice,rope-q-twice")
	if err != nil {
		t.Fatal(err)
	}
	scores, rope := tap.At(0, 0, tap.KQ), tap.At(0, 0, tap.QRope)
	m := mark(Case{Kind: Pair, Faults: planted}, []Truth{{Must: []tap.Key{scores}}, {Must: []tap.Key{rope}}}, judgedAs(scores), nil)
	if !m.Members[0].Op || m.Members[1].Op || len(m.Alarms) != 0 {
		t.Errorf("members %+v, alarms %q; want the first found, the second not", m.Members, m.Alarms)
	}
}

func TestCollect(t *testing.T) {
	planted, err := faults.Select("scale-twice")
	if err != nil {
		t.Fatal(err)
	}
	single := Case{Kind: Single, Faults: planted, Setting: Setting{Model: &Model{Name: "m"}, Prompt: "p"}}
	clean := Case{Kind: Clean, Setting: single.Setting}
	k := tap.At(0, 0, tap.KQ)
	truth := []Truth{{Must: []tap.Key{k}}}
	named := []diagnose.Diagnosis{{Tap: tap.KQ, Cause: diagnose.Cause{ID: "scores-scaled-early", Status: diagnose.Proven}}}
	tests := []struct {
		name  string
		marks []*Mark
		below []string // parts of the sentences that say what is below the bar
		page  string
	}{
		{"met", []*Mark{mark(single, truth, judgedAs(k), named), mark(clean, nil, judgedAs(), nil)}, nil, "The bar is met"},
		{"hidden", []*Mark{mark(single, []Truth{{Why: "changes no bit of the run"}}, judgedAs(), nil)}, nil, "scale-twice on p: changes no bit of the run"},
		{"missed", []*Mark{mark(single, truth, judgedAs(), nil)}, []string{"0 detected", "0 of 1 causes"}, "## Missed"},
		{"false alarm", []*Mark{mark(clean, nil, judgedAs(k), nil)}, []string{"right ops called wrong"}, "## False alarms"},
		{"unexplained", []*Mark{mark(single, truth, judgedAs(k), nil)}, []string{"0 of 1 causes"}, "## Wrong causes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var marks []Mark
			for _, m := range tt.marks {
				marks = append(marks, *m)
			}
			r := Collect(marks, 1, "all cases")
			if len(r.Verdict) != len(tt.below) {
				t.Fatalf("below the bar: %q, want %q", r.Verdict, tt.below)
			}
			all := strings.Join(r.Verdict, "; ")
			for _, part := range tt.below {
				if !strings.Contains(all, part) {
					t.Errorf("%q does not say %q", all, part)
				}
			}
			var page strings.Builder
			if err := r.Markdown(&page); err != nil || !strings.Contains(page.String(), tt.page) {
				t.Errorf("%v; the page lacks %q:\n%s", err, tt.page, &page)
			}
		})
	}
}
