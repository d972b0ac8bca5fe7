package diagnose

import (
	"slices"

	"attndiff/harness/verdict"
)

// Run explains every wrong op of a verdict, in order of first appearance.
func Run(b Bench) ([]Diagnosis, error) {
	if b.Model != nil {
		b.prepare()
	}
	var out []Diagnosis
	for _, group := range b.Result.Wrong() {
		if err := b.stopped(); err != nil {
			return nil, err
		}
		odd, err := b.shape(group)
		if err != nil {
			return nil, err
		}
		if odd != nil {
			out = append(out, *odd)
		}
		group = slices.DeleteFunc(slices.Clone(group), func(t verdict.Tap) bool { return t.Far })
		if odd != nil || b.Model == nil || len(group) == 0 {
			continue // drift alone was judged: nothing can be recomputed
		}
		d, err := b.one(group)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	if b.Poisoned == nil || b.Model == nil {
		return out, nil
	}
	for _, group := range b.Poisoned.Result.Wrong() { // numbers where NaN is owed show there alone
		at := group[0].Key.Tap
		if slices.ContainsFunc(out, func(d Diagnosis) bool { return d.Tap == at }) {
			continue
		}
		d, err := b.Poisoned.one(group)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// one explains one wrong op.
func (b *Bench) one(group []verdict.Tap) (Diagnosis, error) {
	e, err := newExperiment(b, group)
	if err != nil {
		return Diagnosis{}, err
	}
	d := Diagnosis{Tap: e.tap}
	var f finding
	if len(e.sample) > 0 {
		tried, err := e.search(e.catalogue(group))
		if err != nil {
			return Diagnosis{}, err
		}
		if f, err = e.weigh(tried); err != nil {
			return Diagnosis{}, err
		}
		if f.best != nil && f.best.within {
			if f.proof, err = e.prove(f.best); err != nil {
				return Diagnosis{}, err
			}
		}
	}
	d.Cause, d.Evidence, d.Fix = e.cause(f)
	for _, c := range f.ties {
		d.Equal = append(d.Equal, c.id())
	}
	e.examine(&d)
	b.race(group, &d)
	return d, nil
}

// catalogue lists the mistakes that could have been made at the op or, where
// ours did not record some taps before it, at one of those.
func (e *experiment) catalogue(group []verdict.Tap) []Hypothesis {
	m := e.bench.model()
	out := Catalogue(e.tap, m)
	for _, t := range group[0].Composed {
		for _, h := range Catalogue(t, m) {
			h.Title = "at " + t.String() + ", which ours did not record: " + h.Title
			h.Aspect = t.String() + " " + h.Aspect
			out = append(out, h)
		}
	}
	return out
}
