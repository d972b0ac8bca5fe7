package verdict

import (
	"testing"

	"attndiff/traces/tap"
)

// A broken rule is a divergence, and the first one where no op was wrong before.
func TestBreak(t *testing.T) {
	wrong := &Tap{Key: tap.At(1, 0, tap.KQ), Status: Introduced}
	for _, c := range []struct {
		first *Tap
		at    tap.Key
		want  tap.Key
	}{
		{nil, tap.At(0, 1, tap.QRope), tap.At(0, 1, tap.QRope)},
		{wrong, tap.At(0, 1, tap.QRope), tap.At(0, 1, tap.QRope)},
		{wrong, wrong.Key, wrong.Key},
		{wrong, tap.At(2, tap.NoLayer, tap.ResultOutput), wrong.Key},
	} {
		r := &Result{Outcome: Parity, First: c.first}
		r.Break(c.at, "why", Peak{})
		if r.Outcome != Divergence || r.First == nil || r.First.Key != c.want {
			t.Errorf("%v after %v: %v, first %v", c.at, c.first, r.Outcome, r.First)
		}
	}
}
