package diagnose

import (
	"cmp"
	"math"
	"slices"
)

// works bound how many nanoseconds of one core the search for two and for three
// mistakes may take.
const (
	workOfPairs   = 600e6 // once for the commonest, once for those of the nearest
	workOfTriples = 300e6
)

// settingOut is what trying a candidate takes beside the recomputation, in
// nanoseconds: buffers, and holding the result against ours.
const settingOut = 25e3

// workAcross bounds the search for one mistake among ops that ours did not
// record, all of them recomputed for each: about 4 seconds on one core. The
// op's own mistakes come first.
const workAcross = 4e9

// finalists is how many candidates that do not hold on the smallest recording
// are held against all.
const finalists = 4

// search finds what reproduces the sample: one mistake, else two, else three.
// It returns all candidates that were tried.
func (e *experiment) search(all []Hypothesis) ([]*candidate, error) {
	var singles []*candidate
	for i := range all {
		singles = append(singles, &candidate{parts: []*Hypothesis{&all[i]}, variant: all[i].Variant})
	}
	first := e.sample[0]
	one := settingOut + float64(e.bench.cost(first.key, first.right.Inputs, first.right.Composed))
	most := func(budget float64) int { return int(budget / one) }
	if len(first.right.Composed) > 0 {
		singles = singles[:min(len(singles), most(workAcross))]
	}
	tried, err := e.level(singles)
	if err != nil || anySettles(tried) {
		return tried, err
	}
	pairs, err := e.level(combine(singles, singles, most(workOfPairs)))
	hedged := anyHolds(tried)
	tried = append(tried, pairs...)
	if err != nil || hedged || anySettles(pairs) {
		return tried, err
	}
	budget := workOfPairs
	if len(first.right.Composed) > 0 {
		budget = workAcross
	}
	led, err := e.level(leading(singles, pairs, most(budget)))
	tried = append(tried, led...)
	if err != nil || anySettles(led) {
		return tried, err
	}
	triples, err := e.level(combine(pairs, singles, most(workOfTriples)))
	return append(tried, triples...), err
}

// anyHolds reports whether a candidate reproduces the sample.
func anyHolds(list []*candidate) bool {
	return slices.ContainsFunc(list, func(c *candidate) bool { return c.within })
}

// anySettles reports whether a candidate reproduces the sample and says the
// value of most of it. One that leaves more open than it says may hide a
// combination that says it all.
func anySettles(list []*candidate) bool {
	return slices.ContainsFunc(list, func(c *candidate) bool { return c.within && c.claims > c.open })
}

// leading are the pairs, beyond those tried, of the few singles that come
// nearest to ours with every other one: of two mistakes the larger one alone
// often comes near.
func leading(singles, tried []*candidate, most int) []*candidate {
	seen := map[string]bool{}
	for _, c := range tried {
		seen[c.id()] = true
	}
	near := slices.DeleteFunc(slices.Clone(singles), func(c *candidate) bool { return c.inert || !(c.residual < hopeless) })
	slices.SortStableFunc(near, func(a, b *candidate) int { return cmp.Compare(a.residual, b.residual) })
	var out []*candidate
	all := combine(singles, singles, len(singles)*len(singles))
	for _, lead := range near[:min(len(near), finalists)] {
		for _, c := range all {
			if len(out) == most {
				return out
			}
			if (c.parts[0] == lead.parts[0] || c.parts[1] == lead.parts[0]) && !seen[c.id()] {
				seen[c.id()] = true
				out = append(out, c)
			}
		}
	}
	return out
}

// combine adds each single to each of the candidates, the likelier first, most
// at the most. Mistakes made together are about different aspects and each
// changes something.
func combine(base, singles []*candidate, most int) []*candidate {
	rank := map[*Hypothesis]int{} // place within its aspect
	place := map[*Hypothesis]int{}
	seen := map[string]int{}
	for i, s := range singles {
		h := s.parts[0]
		place[h], rank[h] = i, seen[h.Aspect]
		seen[h.Aspect]++
	}
	type sum struct {
		base   *candidate
		single *Hypothesis
		rank   int
	}
	var sums []sum
	for _, b := range base {
		r := 0
		for _, h := range b.parts {
			r += rank[h]
		}
		last := b.parts[len(b.parts)-1]
		for _, s := range singles {
			h := s.parts[0]
			if b.inert || s.inert || place[h] <= place[last] || !together(b.parts, h) {
				continue
			}
			sums = append(sums, sum{b, h, r + rank[h]})
		}
	}
	slices.SortStableFunc(sums, func(a, b sum) int { return cmp.Compare(a.rank, b.rank) })
	var out []*candidate
	for _, s := range sums[:min(len(sums), most)] {
		out = append(out, s.base.with(s.single))
	}
	return out
}

// together reports whether h can be made beside the others. What replaces the
// result leaves nothing of a mistake that comes before.
func together(others []*Hypothesis, h *Hypothesis) bool {
	for _, o := range others {
		if o.Aspect == h.Aspect || h.Aspect == whole || o.Aspect == whole && h.Variant.Result == nil {
			return false
		}
	}
	return true
}

// whole is the aspect of mistakes that replace the op's result.
const whole = "whole"

// level tries candidates: on the smallest recording first, then those that
// hold there on the whole sample, or, if none does, the best few.
func (e *experiment) level(list []*candidate) ([]*candidate, error) {
	telling := e.telling()
	err := e.bench.each(len(list), func(i int) error {
		c := list[i]
		var err error
		c.outcome, err = e.try(c.variant, c.on(e.sample[:1]), math.Inf(1))
		if err == nil && len(c.parts) == 1 {
			c.inert, err = e.spares(c.variant, telling)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(slices.Clone(list), func(c *candidate) bool { return !(c.residual < math.Inf(1)) })
	for i, c := range list {
		c.order = len(c.parts)<<24 + i
	}
	best := slices.Clone(list)
	slices.SortStableFunc(best, func(a, b *candidate) int { return cmp.Compare(a.residual, b.residual) })
	var finals []*candidate
	for i, c := range best {
		if c.within || i < finalists {
			finals = append(finals, c)
		}
	}
	return list, e.bench.each(len(finals), func(i int) error {
		c := finals[i]
		var err error
		if c.outcome, err = e.try(c.variant, c.on(e.sample), hopeless); err != nil || !c.within {
			return err
		}
		if c.mustShow() {
			if c.within, err = e.untouched(c.variant); !c.within {
				c.residual = math.Inf(1)
			}
		}
		return err
	})
}

// hopeless is the residual of a recording above which the others are not
// looked at: as far off as zeros.
const hopeless = 1.0
