package verdict

import (
	"fmt"
	"slices"
	"strings"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// absent lists what the reference recorded and ours did not. What a recording
// of ours was recomputed through has been judged there, as part of a
// composition, and is no entry of its own.
func (j *judge) absent() []Tap {
	seen := map[tap.Key]bool{}
	if j.oracle != nil {
		seen = j.bridged()
	}
	var taps []Tap
	for _, k := range j.ref.Keys() {
		if _, ok := j.ours.Info(k); ok || seen[k] {
			continue
		}
		nan := ratioNaN
		taps = append(taps, Tap{Key: k, Status: Missing, OpOurs: nan, OpRef: nan, Allowance: nan,
			Carried: nan, Drift: Metrics{NMSE: nan, MaxAbs: nan, Cos: nan}, Peak: Peak{Ours: nan, Reference: nan, Oracle: nan},
			Why: "ours did not record it"})
	}
	return taps
}

// bridged is what ours did not record and a recording of its own depends on
// through nothing but what it did not record.
func (j *judge) bridged() map[tap.Key]bool {
	seen := map[tap.Key]bool{}
	for todo := slices.Clone(j.ours.Keys()); len(todo) > 0; {
		k := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, in := range oracle.Inputs(k, j.growth.layers) {
			if !seen[in] && !j.oursHas(in) {
				seen[in] = true
				todo = append(todo, in)
			}
		}
	}
	return seen
}

// conclude settles what needs the whole picture: inherited errors, the first
// divergence, drift that nothing explains, and the outcome.
func (j *judge) conclude(taps []Tap) *Result {
	r := &Result{Outcome: Parity, Taps: taps, Oracle: j.oracle != nil}
	tainted := map[tap.Key]bool{}
	for i := range taps {
		t := &taps[i]
		upstream := slices.ContainsFunc(t.Inputs, func(k tap.Key) bool { return tainted[k] })
		alone := j.oracle == nil || t.Far
		if alone {
			upstream = j.inherits(t.Key, tainted)
		}
		if alone && t.Status == OK {
			j.driftOnly(t, upstream)
		}
		if upstream && t.Status == OK && t.HasDrift && !(t.Drift.NMSE <= t.Allowance) {
			t.Status = Inherited
			t.Why = fmt.Sprintf("drift is %.3g although this op is right: its inputs differ", t.Drift.NMSE)
		}
		if why := t.unexplained(); why != "" && !upstream {
			r.unexplained(t, why)
			upstream = true
		}
		tainted[t.Key] = upstream || t.Status == Introduced
		if t.Status == Introduced && r.First == nil {
			r.First = t
			r.Outcome = Divergence
		}
	}
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
	if far := names(r.Taps, func(t Tap) bool { return t.Far }); far != "" {
		out = append(out, far+" judged by drift alone: too much was not recorded before to be recomputed for this many tokens")
	}
	for status, text := range map[Status]string{
		NoOracle: "the oracle does not speak this model's semantics at %s; ours is not judged there",
		Missing:  "ours did not record %s and nothing recorded after it could stand in",
	} {
		if of := names(r.Taps, func(t Tap) bool { return t.Status == status }); of != "" {
			out = append(out, fmt.Sprintf(text, of))
		}
	}
	slices.Sort(out)
	if r.Unexplained != nil {
		out = append([]string{r.Unexplained.Why}, out...)
	}
	return out
}

// names lists the taps of those recordings that a condition holds for.
func names(taps []Tap, holds func(Tap) bool) string {
	var of []string
	for _, t := range taps {
		if holds(t) && !slices.Contains(of, t.Key.Tap.String()) {
			of = append(of, t.Key.Tap.String())
		}
	}
	return strings.Join(of, ", ")
}
