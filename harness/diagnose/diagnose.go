package diagnose

import (
	"fmt"

	"attndiff/harness/verdict"
)

// Run explains every wrong op of a verdict, in order of first appearance.
func Run(b Bench) ([]Diagnosis, error) {
	if b.Model == nil {
		return nil, nil // drift alone was judged: nothing can be recomputed
	}
	var out []Diagnosis
	for _, group := range b.Result.Wrong() {
		d, err := b.one(group)
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
	var ranked []candidate
	if len(e.sample) > 0 {
		if ranked, err = e.search(Catalogue(e.tap, b.model())); err != nil {
			return Diagnosis{}, err
		}
	}
	d.Cause, d.Fix = conclude(ranked, fmt.Sprintf("%s is wrong; no known mistake reproduces it", e.tap))
	return d, nil
}
