package report

import (
	"fmt"
	"math"
	"slices"

	"attndiff/harness/session"
	"attndiff/traces/tap"
)

// warnings makes findings of what ours' device noticed, a finding per tap that
// has none yet. The values may be right by luck: what a kernel writes outside of
// its buffers damages somebody else's, what it leaves unwritten is whatever
// memory held.
func (r *Report) warnings(in *Input) {
	for _, w := range in.Run.Warnings {
		k, err := tap.ParseKey(w.At)
		if err != nil || slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Tap == w.Tap }) {
			continue
		}
		r.Findings = append(r.Findings, warned(w, k, in))
	}
}

// warned describes a warning.
func warned(w session.Warning, k tap.Key, in *Input) Finding {
	nan := Number(math.NaN())
	f := Finding{
		ID: w.Tap + "_memory", Tap: w.Tap, Layers: []int{}, Steps: []int{k.Step}, Severity: High,
		Cause: Cause{ID: "memory", Title: fmt.Sprintf("kernel %s %s", w.Kernel, w.What), Status: "proven", Residual: nan, RunnerUpResidual: nan},
		Evidence: Evidence{
			Step: k.Step, Layer: layer(k), Index: []int{}, Ours: nan, Reference: nan, Oracle: nan, Drift: nan, OpOurs: nan, OpRef: nan,
			Allowance: nan, Recordings: w.Times, Of: w.Times, Why: w.String(), Observed: []string{"the device that ran it checks every launch; the values recorded are right, by luck"},
		},
		Fix: "Bound what the kernel reads and writes by the sizes it is given, and have it write every element of its output once.",
	}
	if k.Layer >= 0 {
		f.Layers = []int{k.Layer}
	}
	if in.Locate != nil {
		f.Where = in.Locate(k.Tap, in.tokens(k.Step))
	}
	if in.Match != nil {
		f.Reference = in.Match(k.Tap, in.composed(k))
	}
	return f
}

// composed are the taps across which a recording was judged.
func (in *Input) composed(k tap.Key) []tap.Tap {
	for i := range in.Result.Taps {
		if in.Result.Taps[i].Key == k {
			return in.Result.Taps[i].Composed
		}
	}
	return nil
}
