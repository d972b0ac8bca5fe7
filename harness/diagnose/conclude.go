package diagnose

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"attndiff/harness/oracle"
)

// enough is how many elements a mistake must say the value of to be proven.
const enough = 8

// finding is what the search came to.
type finding struct {
	best   *candidate   // nil when nothing explains the op
	ties   []*candidate // do as well on this run's data, and would not on any
	alias  []*candidate // the same computation for this model, whatever the data
	rival  *candidate   // the best one that computes something else
	spares bool         // the mistake would not have shown in the right recordings
	proof  proof        // that best accounts for the whole op
}

// aliasesTried bounds how many candidates are compared with the best one on
// data that no run has chosen; the others count as ties.
const aliasesTried = 16

// rightOp names the op as it should be where it is the runner-up.
const rightOp = "no-mistake"

// weigh picks the cause from the candidates that were tried. The op done right
// is one of the rivals: a mistake that does not stand out from it explains
// nothing.
//
// Among those that reproduce the sample, the ones that would not have shown in
// the right recordings come first. One that leaves elements open, where another
// says as well what they are, only hedges and is no rival. Those within a
// factor of [separation] of the best residual have come to the same result:
// the more common mistake (the earlier in the catalogue) is named. The others
// are ties, unless they are the same computation for this model.
func (e *experiment) weigh(tried []*candidate) (finding, error) {
	clean, err := e.try(oracle.Variant{}, e.sample, math.Inf(1))
	if err != nil {
		return finding{}, err
	}
	right := &candidate{parts: []*Hypothesis{{ID: rightOp}}, outcome: clean}
	right.within = false
	var winners, losers []*candidate
	for _, c := range tried {
		if c.within && c.standsOut(clean) {
			winners = append(winners, c)
		} else {
			losers = append(losers, c)
		}
	}
	losers = append(losers, right)
	slices.SortStableFunc(losers, byResidual)
	if len(winners) == 0 {
		return finding{best: nil, rival: losers[0]}.closest(losers, right), nil
	}
	var f finding
	if winners, f.spares, err = e.spared(winners); err != nil {
		return f, err
	}
	winners = bold(winners)
	slices.SortStableFunc(winners, byResidual)
	least := winners[0].residual
	f.rival = losers[0]
	for _, c := range winners {
		switch {
		case c.residual <= 2*least && (f.best == nil || c.order < f.best.order):
			f.best = c
		case c.residual > 0 && c.residual >= separation*least && c.residual < f.rival.residual:
			f.rival = c
		}
	}
	slices.SortStableFunc(winners, func(a, b *candidate) int { return cmp.Compare(a.order, b.order) })
	compared := 0
	for _, c := range winners {
		if c == f.best || c.residual > 0 && c.residual >= separation*least || len(c.parts) > len(f.best.parts) {
			continue // more mistakes that do no better explain nothing more
		}
		same := false
		if compared++; compared <= aliasesTried && f.best.claims > 0 {
			if same, err = e.alias(f.best, c); err != nil {
				return f, err
			}
		}
		if same {
			f.alias = append(f.alias, c)
		} else {
			f.ties = append(f.ties, c)
		}
	}
	return f, nil
}

// standsOut reports whether a candidate reproduces ours better than the op done
// right: an allowance may be wide enough for both.
func (c *candidate) standsOut(right outcome) bool {
	return c.claims == 0 || !(right.residual < separation*c.residual)
}

// closest is what comes nearest when nothing reproduces the sample: a single
// mistake, against the next one. Among thousands of combinations one always
// comes out ahead, and means nothing.
func (f finding) closest(losers []*candidate, right *candidate) finding {
	f.best, f.rival = nil, right
	for _, c := range losers {
		switch {
		case len(c.parts) > 1:
		case f.best == nil && c != right:
			f.best = c
		case f.best != nil && c.residual < f.rival.residual:
			f.rival = c
		}
	}
	return f
}

// spared keeps the candidates that do not show in the right recordings, if
// there are any. One that says the values and shows there too is kept beside
// ones that say none: a mistake may be made in some steps or layers only, and an
// op that is said to write nothing shows nowhere.
func (e *experiment) spared(list []*candidate) (kept []*candidate, any bool, err error) {
	ok := make(map[*candidate]bool, len(list))
	for _, c := range list {
		if ok[c], err = e.spares(c.variant, e.controls); err != nil {
			return nil, false, err
		}
		any = any || ok[c]
	}
	silent := !slices.ContainsFunc(list, func(c *candidate) bool { return ok[c] && c.claims > 0 })
	if !any || silent && slices.ContainsFunc(list, func(c *candidate) bool { return c.claims > c.open && !c.hedges() }) {
		return list, false, nil
	}
	return slices.DeleteFunc(list, func(c *candidate) bool { return !ok[c] }), true, nil
}

// bold leaves out the candidates that hedge: those that say less than another
// which does as well, and those that chose values or leave some unwritten where
// another does neither.
func bold(list []*candidate) []*candidate {
	return slices.DeleteFunc(slices.Clone(list), func(c *candidate) bool {
		return slices.ContainsFunc(list, func(d *candidate) bool {
			says := d.claims > c.claims || d.claims == c.claims && d.open == 0 && c.hedges() && !d.hedges()
			return says && (d.rounding || d.residual <= separation*c.residual)
		})
	})
}

// hedges reports whether a part of the candidate chooses values to suit ours or
// leaves some to memory.
func (c *candidate) hedges() bool {
	return slices.ContainsFunc(c.parts, func(h *Hypothesis) bool { return h.Fitted || h.Leaves })
}

// excuses reports whether the candidate is several mistakes, of which one leaves
// open or chooses what another gets wrong: together they reproduce much, and
// prove little.
func (c *candidate) excuses() bool { return len(c.parts) > 1 && c.hedges() }

func byResidual(a, b *candidate) int { return cmp.Compare(a.residual, b.residual) }

// cause words a finding.
func (e *experiment) cause(f finding) (c Cause, evidence []string, fix string) {
	c = Cause{ID: "unexplained", Title: fmt.Sprintf("%s is wrong; no known mistake reproduces it", e.tap), Status: Unexplained,
		Residual: math.NaN(), RunnerUpResidual: math.NaN()}
	if f.rival != nil {
		c.RunnerUp, c.RunnerUpResidual = f.rival.id(), f.rival.residual
	}
	if f.best == nil {
		return c, nil, ""
	}
	b := f.best
	c.Residual = b.residual
	alone := c.RunnerUpResidual >= separation*c.Residual && c.RunnerUpResidual > 0 && b.near()
	switch {
	case b.within && alone && len(f.ties) == 0 && b.claims >= enough && f.proof.whole() && !b.excuses():
		c.Status = Proven
	case b.within || alone:
		c.Status = Likely
	default:
		c.RunnerUp, c.RunnerUpResidual = b.id(), b.residual
		return c, nil, ""
	}
	c.ID = b.id()
	c.Title = b.join(", and ", func(h *Hypothesis) string { return h.Title })
	fix = b.join(" ", func(h *Hypothesis) string { return h.Fix })
	evidence = append(evidence, f.proof.evidence()...)
	if len(f.ties) > 0 {
		evidence = append(evidence, "on this run's data these come to the same: "+names(f.ties)+"; a longer prompt tells them apart")
	}
	if len(f.alias) > 0 {
		evidence = append(evidence, "for this model that is the same computation as "+names(f.alias))
	}
	if len(e.controls) > 0 && !f.spares && b.within {
		evidence = append(evidence, fmt.Sprintf("the mistake is not made everywhere: %s is right, where it would show too", e.controls[0].key))
	}
	return c, evidence, fix
}

// near reports whether a candidate that does not reproduce ours may all the same
// be a part of what happened: it must explain nearly all of it, and a copy of
// something else is exact or is none.
func (c *candidate) near() bool {
	return c.within || c.residual <= blur && !slices.ContainsFunc(c.parts, func(h *Hypothesis) bool { return h.Aspect == whole })
}

// namesShown bounds how many candidates a sentence lists.
const namesShown = 3

// names lists candidates by ID.
func names(list []*candidate) string {
	var ids []string
	for _, c := range list[:min(len(list), namesShown)] {
		ids = append(ids, c.id())
	}
	if more := len(list) - len(ids); more > 0 {
		ids = append(ids, fmt.Sprintf("%d more", more))
	}
	return strings.Join(ids, ", ")
}
