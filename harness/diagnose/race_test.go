package diagnose

import (
	"strings"
	"testing"

	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// A wrong op that varies between identical runs while its inputs do not is a
// race, unless a mistake explains it; one that only passes on what varies is not.
func TestRace(t *testing.T) {
	kq, kqv := tap.At(1, 2, tap.KQSoftMax), tap.At(1, 2, tap.KQV)
	group := []verdict.Tap{{Key: tap.At(0, 2, tap.KQV)}, {Key: kqv, Inputs: []tap.Key{kq}}}
	for _, c := range []struct {
		name     string
		unstable map[tap.Key]bool
		status   Status // before
		cause    string // after
		evidence int
	}{
		{"ran once", nil, Unexplained, "unexplained", 0},
		{"source", map[tap.Key]bool{kqv: true}, Unexplained, "race", 1},
		{"inherited", map[tap.Key]bool{kq: true, kqv: true}, Unexplained, "unexplained", 0},
		{"stable", map[tap.Key]bool{kq: true}, Unexplained, "unexplained", 0},
		{"barrier named", map[tap.Key]bool{kqv: true}, Proven, "barrier", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Diagnosis{Tap: tap.KQV, Cause: Cause{ID: "unexplained", Status: c.status}}
			if c.status == Proven {
				d.Cause.ID = "barrier"
			}
			b := Bench{Unstable: c.unstable}
			b.race(group, &d)
			if d.Cause.ID != c.cause || len(d.Evidence) != c.evidence || (d.Cause.ID == "race") != (d.Fix != "") {
				t.Errorf("cause %q, evidence %q, fix %q; want %q and %d sentences", d.Cause.ID, d.Evidence, d.Fix, c.cause, c.evidence)
			}
			if c.evidence > 0 && !strings.Contains(d.Evidence[0], "step 1, layer 2") {
				t.Errorf("evidence %q does not say where", d.Evidence[0])
			}
		})
	}
}
