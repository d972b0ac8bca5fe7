package diagnose

import (
	"fmt"
	"math"
	"slices"

	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// race looks for recordings of a wrong op that came out differently in identical
// runs of ours though none of what they were computed from did: there two runs
// are the experiment. What varies is made at this op, whatever else is wrong with
// it, and no mistake in the arithmetic varies. It is the cause where none was
// found; beside a cause that names the missing barrier it is evidence.
func (b *Bench) race(group []verdict.Tap, d *Diagnosis) {
	source := slices.IndexFunc(group, func(t verdict.Tap) bool {
		return b.Unstable[t.Key] && !slices.ContainsFunc(t.Inputs, func(k tap.Key) bool { return b.Unstable[k] })
	})
	if source < 0 {
		return
	}
	d.Evidence = append(d.Evidence, fmt.Sprintf("identical runs of ours differ at %s and not in what it is computed from", moment(group[source].Key)))
	if d.Cause.Status != Unexplained {
		return
	}
	nan := math.NaN()
	d.Cause = Cause{ID: "race", Title: "what it computes varies from run to run with the same inputs: threads race, or memory is read that nobody wrote",
		Status: Proven, Residual: nan, RunnerUpResidual: nan}
	d.Fix = "Look for a barrier missing between threads that write shared memory and threads that read it, for two blocks that write the same " +
		"element or read what another may still write, and for a result written over its own input. On a GPU compute-sanitizer's racecheck and initcheck name the lines."
}
