package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// That an op wrote nothing explains any number, so it must be seen: memory
// that nobody wrote holds what it held before - the op's own earlier result at
// the same place, zeros, one filling, or no number at all.

// looks is the share of unwritten elements that must look so.
const looks = 0.9

// untouched reports whether a variant leaves elements undefined that look like
// memory which the op did not write.
func (e *experiment) untouched(v oracle.Variant) (bool, error) {
	open, seen := 0, 0
	for _, r := range e.sample {
		want, err := e.eval(v, r.key)
		if err != nil {
			return false, fmt.Errorf("recomputing %s under a variant: %w", r.key, err)
		}
		before := e.before(r.key)
		filling, all := map[float64]int{}, 0
		for i := r.older; i < len(r.got); i++ {
			if math.IsNaN(want.Data[i]) && finite(r.got[i]) {
				filling[r.got[i]]++
				all++
			}
		}
		many := min(enoughValues, max(all, enough)) // or all there are
		for i := r.older; i < len(r.got); i++ {
			if !math.IsNaN(want.Data[i]) {
				continue
			}
			open++
			x := r.got[i]
			alike := !finite(x) || x == 0 || filling[x] >= many
			for _, held := range before {
				alike = alike || i < len(held) && held[i] == x
			}
			if alike {
				seen++
			}
		}
	}
	return open > 0 && float64(seen) >= looks*float64(open), nil
}

// unwritten reports whether what a variant leaves undefined is seen to come from
// memory that nobody wrote: it looks so or, where such memory held NaN in
// another run, that run has NaN there although what the op reads is finite.
func (e *experiment) unwritten(v oracle.Variant) (bool, error) {
	seen, err := e.untouched(v)
	if seen || err != nil || e.bench.Poisoned == nil {
		return seen, err
	}
	var group []verdict.Tap
	for _, t := range e.bench.Poisoned.Result.Taps {
		if t.Key.Tap == e.tap && t.Status == verdict.Introduced && !t.Blind {
			group = append(group, t)
		}
	}
	if len(group) == 0 {
		return false, nil
	}
	poisoned, err := newExperiment(e.bench.Poisoned, group)
	if err != nil {
		return false, err
	}
	return poisoned.untouched(v)
}

// before is what the op's buffer may have held: its result of the layer before
// or, in layer 0, of the last layer in the step before; its own of the step
// before; its input, where it works in place.
func (e *experiment) before(k tap.Key) [][]float64 {
	layers := e.bench.Reference.Meta().Hparams.NLayer
	keys := append(oracle.Inputs(k, layers), ranBefore(k, layers), tap.At(k.Step-1, k.Layer, k.Tap))
	var out [][]float64
	for _, b := range keys {
		if _, ok := e.bench.Ours.Info(b); !ok {
			continue
		}
		if v, err := e.bench.source.Float64(b, nil); err == nil {
			out = append(out, v)
		}
	}
	return out
}
