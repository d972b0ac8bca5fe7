package verdict

import (
	"fmt"
	"slices"
	"strings"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// absent lists what the reference recorded and ours did not. A gap that a
// later recording of the same step bridges has been judged there as a
// composition, so it is no entry of its own.
func (j *judge) absent() []Tap {
	last := map[int]tap.Key{} // the latest recording of ours per step
	for _, k := range j.ours.Keys() {
		last[k.Step] = k
	}
	var taps []Tap
	for _, k := range j.ref.Keys() {
		if _, ok := j.ours.Info(k); ok {
			continue
		}
		if end, ok := last[k.Step]; j.oracle != nil && ok && k.Compare(end) < 0 {
			continue
		}
		nan := ratioNaN
		taps = append(taps, Tap{Key: k, Status: Missing, OpOurs: nan, OpRef: nan, Allowance: nan,
			Drift: Metrics{NMSE: nan, MaxAbs: nan, Cos: nan}, Peak: Peak{Ours: nan, Reference: nan, Oracle: nan},
			Why: "ours did not record it"})
	}
	return taps
}

// conclude settles what needs the whole picture: inherited errors, the first
// divergence and the outcome.
func (j *judge) conclude(taps []Tap) *Result {
	r := &Result{Outcome: Parity, Taps: taps, Oracle: j.oracle != nil}
	tainted := map[tap.Key]bool{}
	for i := range taps {
		t := &taps[i]
		upstream := slices.ContainsFunc(t.Inputs, func(k tap.Key) bool { return tainted[k] })
		if j.oracle == nil {
			upstream = j.inherits(t.Key, tainted)
		}
		if j.oracle == nil && t.Status == OK {
			j.driftOnly(t, upstream)
		}
		if upstream && t.Status == OK && t.HasDrift && !(t.Drift.NMSE <= t.Allowance) {
			t.Status = Inherited
			t.Why = fmt.Sprintf("drift is %.3g although this op is right: its inputs differ", t.Drift.NMSE)
		}
		tainted[t.Key] = upstream || t.Status == Introduced
		if t.Status == Introduced && r.First == nil {
			r.First = t
			r.Outcome = Divergence
		}
	}
	r.Notes = notes(r)
	return r
}

// inherits reports whether an input of k is tainted, looking through taps that
// were not recorded; what it finds of those it adds to tainted.
func (j *judge) inherits(k tap.Key, tainted map[tap.Key]bool) bool {
	return slices.ContainsFunc(oracle.Inputs(k, j.growth.layers), func(in tap.Key) bool {
		if bad, recorded := tainted[in]; recorded {
			return bad
		}
		tainted[in] = j.inherits(in, tainted)
		return tainted[in]
	})
}

// driftOnly judges a tap without an oracle: the op is blamed where drift first
// exceeds what rounding explains.
func (j *judge) driftOnly(t *Tap, upstream bool) {
	t.Allowance = j.growth.allowance(t.Key)
	if !t.HasDrift || t.Drift.NMSE <= t.Allowance {
		return
	}
	t.Status = Introduced
	t.Why = fmt.Sprintf("drift is %.3g, rounding on the way here explains %.3g", t.Drift.NMSE, t.Allowance)
	if upstream {
		t.Status = Inherited
	}
}

// notes words what limits the verdict.
func notes(r *Result) []string {
	var out []string
	if !r.Oracle {
		out = append(out, "drift alone was judged: with --model each op is recomputed and judged by itself")
	}
	for status, text := range map[Status]string{
		NoOracle: "the oracle does not speak this model's semantics at %s; ours is not judged there",
		Missing:  "ours did not record %s and nothing recorded after it could stand in",
	} {
		var names []string
		for _, t := range r.Taps {
			if t.Status == status && !slices.Contains(names, t.Key.Tap.String()) {
				names = append(names, t.Key.Tap.String())
			}
		}
		if names != nil {
			out = append(out, fmt.Sprintf(text, strings.Join(names, ", ")))
		}
	}
	slices.Sort(out)
	return out
}
