package diagnose

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"attndiff/harness/oracle"
)

// candidate is a hypothesis, or a pair, with how well it does.
type candidate struct {
	id, title, fix string
	variant        oracle.Variant
	outcome
}

// hopeless is the residual of a recording above which a hypothesis is dropped
// without looking at the others: as far off as zeros.
const hopeless = 1.0

// search finds the cause among the hypotheses, and among pairs of them when no
// single one explains the op.
func (e *experiment) search(all []Hypothesis) (best []candidate, err error) {
	singles, err := e.rank(single(all), e.sample)
	if err != nil {
		return nil, err
	}
	if len(singles) > 0 && singles[0].within {
		return singles, nil
	}
	// A pair is screened on the smallest recording before the sample decides.
	screened, err := e.rank(pairs(all), e.sample[:1])
	if err != nil {
		return nil, err
	}
	const finalists = 5
	pairs, err := e.rank(screened[:min(finalists, len(screened))], e.sample)
	if err != nil {
		return nil, err
	}
	both := append(pairs, singles...)
	slices.SortStableFunc(both, better)
	return both, nil
}

// rank tries candidates on recordings, best first; those that claim nothing are
// left out.
func (e *experiment) rank(all []candidate, recordings []recording) ([]candidate, error) {
	var out []candidate
	for _, c := range all {
		got, err := e.try(c.variant, recordings, hopeless)
		if err != nil {
			return nil, err
		}
		if !math.IsInf(got.residual, 1) && !math.IsNaN(got.residual) {
			c.outcome = got
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, better)
	return out, nil
}

// better orders candidates: reproduced before not, then by residual.
func better(a, b candidate) int {
	if a.within != b.within {
		if a.within {
			return -1
		}
		return 1
	}
	return cmp.Compare(a.residual, b.residual)
}

func single(all []Hypothesis) []candidate {
	var out []candidate
	for _, h := range all {
		out = append(out, candidate{id: h.ID, title: h.Title, fix: h.Fix, variant: h.Variant})
	}
	return out
}

// pairs combines mistakes about different aspects of the op. Where one replaces
// the formula the other cannot act within it.
func pairs(all []Hypothesis) []candidate {
	var out []candidate
	for i, a := range all {
		for _, b := range all[i+1:] {
			if a.Aspect == b.Aspect {
				continue
			}
			out = append(out, candidate{
				id:      a.ID + "+" + b.ID,
				title:   a.Title + ", and " + b.Title,
				fix:     strings.TrimSpace(a.Fix + " " + b.Fix),
				variant: a.Variant.And(b.Variant),
			})
		}
	}
	return out
}

// conclude turns the ranking into a cause.
func conclude(ranked []candidate, unexplained string) (Cause, string) {
	if len(ranked) == 0 {
		return Cause{ID: "unexplained", Title: unexplained, Status: Unexplained, Residual: math.NaN(), RunnerUpResidual: math.NaN()}, ""
	}
	first := ranked[0]
	c := Cause{ID: first.id, Title: first.title, Residual: first.residual, RunnerUpResidual: math.NaN()}
	if len(ranked) > 1 {
		c.RunnerUp, c.RunnerUpResidual = ranked[1].id, ranked[1].residual
	}
	alone := len(ranked) == 1 || c.RunnerUpResidual >= separation*c.Residual && c.RunnerUpResidual > 0
	switch {
	case first.within && alone:
		c.Status = Proven
	case alone || first.within:
		c.Status = Likely
	default:
		return Cause{ID: "unexplained", Title: unexplained, Status: Unexplained, Residual: first.residual,
			RunnerUp: first.id, RunnerUpResidual: first.residual}, ""
	}
	return c, first.fix
}
