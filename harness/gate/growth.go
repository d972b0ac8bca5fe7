package gate

import (
	"fmt"
	"math"
	"slices"

	"attndiff/harness/oracle"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// growthFactor is how many times the baseline's an op's error may be: twice
// the amplitude, as an op of ours may have twice the reference's.
const growthFactor = 4

// op is what one op of one case got wrong.
type op struct {
	errs  []float64 // by layer, the largest op_ours of all steps; NaN where not judged
	floor []float64 // by layer, what chance may make of it
	steps []int     // by layer, where the largest is
	allow []float64 // by layer, the allowance there
}

// ops gathers the ops of a verdict. A tap without layers has one column.
func ops(r *verdict.Result) map[tap.Tap]*op {
	all := map[tap.Tap]*op{}
	for i := range r.Taps {
		t := &r.Taps[i]
		o := all[t.Key.Tap]
		if o == nil {
			o = &op{}
			all[t.Key.Tap] = o
		}
		layer := max(t.Key.Layer, 0)
		for len(o.errs) <= layer {
			o.errs, o.floor = append(o.errs, math.NaN()), append(o.floor, 0)
			o.steps, o.allow = append(o.steps, 0), append(o.allow, math.NaN())
		}
		o.floor[layer] = max(o.floor[layer], floor(t))
		if math.IsNaN(t.OpOurs) {
			continue
		}
		if !(t.OpOurs <= o.errs[layer]) {
			o.errs[layer], o.steps[layer], o.allow[layer] = t.OpOurs, t.Key.Step, t.Allowance
		}
	}
	return all
}

// floor is the error of a recording below which growth means nothing.
//
// Where each element is rounded by itself, the mean over hundreds of squared
// roundings hardly moves from one machine to another, however small it is, and
// the floor is what a single rounding of the result leaves at most, u^2: an op
// that happened to be exact may come to round once.
//
// Two ops are not like that, and their floor is 4 times the variance derived for
// them (package oracle), a quarter of their allowance. In a norm all elements of a token share the error of one
// sum. Its square is one draw per token, of which a decode step has one, and may
// be anything from nothing to several variances. In a softmax the rounding of a
// scaled score z comes out multiplied by |z|, and whether it is rounded at all
// is the compiler's choice: exp(scale*x - max) with a fused multiply-add has no
// such rounding. Compiled without, the synthetic models' softmax erred 250 times
// as much, and no other op more than 3 times.
func floor(t *verdict.Tap) float64 {
	for _, part := range append(t.Composed[:len(t.Composed):len(t.Composed)], t.Key.Tap) {
		switch part {
		case tap.AttnNorm, tap.FFNNorm, tap.ResultNorm, tap.KQSoftMax:
			return growthFactor * t.Noise
		}
	}
	return oracle.UnitF32 * oracle.UnitF32
}

// Regressions says which ops of a run erred more than those of an earlier run of the
// same case, as the gate does with a baseline taken then.
func Regressions(now, earlier *verdict.Result) []Problem {
	return grown(ops(now), &Record{Ops: figures(ops(earlier))})
}

// grown compares ops with the baseline.
func grown(now map[tap.Tap]*op, base *Record) []Problem {
	var list []Problem
	for _, t := range tap.All() {
		o, before := now[t], base.Ops[t]
		if o == nil || before == nil {
			continue
		}
		p := Problem{Kind: Grown, Tap: t.String(), Layers: []int{}, Steps: []int{}}
		var bad []int
		for l, e := range o.errs {
			if l < len(before) && e > limit(before[l], o.floor[l]) {
				bad = append(bad, l)
				p.Steps = insert(p.Steps, o.steps[l])
			}
		}
		if bad == nil {
			continue
		}
		if t.PerLayer() {
			p.Layers = bad
		}
		p.say = func(layers []int) string { return growth(o, before, layers) }
		p.Text = p.say(bad)
		list = append(list, p)
	}
	return list
}

// limit is the largest error that is no growth.
func limit(before, floor float64) float64 {
	if math.IsNaN(before) {
		return math.Inf(1) // was not judged then
	}
	return max(growthFactor*before, floor)
}

// growth words the worst of some layers.
func growth(o *op, before []float64, layers []int) string {
	times := func(l int) float64 { return o.errs[l] / max(before[l], o.floor[l]/growthFactor) }
	at := slices.MaxFunc(layers, func(a, b int) int {
		if times(a) < times(b) {
			return -1
		}
		return 1
	})
	was := fmt.Sprintf("%.3g times the baseline's %s", o.errs[at]/before[at], figure(before[at]))
	if before[at] == 0 {
		was = "and was 0"
	}
	return fmt.Sprintf("its own error is %s, %s; %s is allowed, so this is a regression before it is a bug",
		figure(o.errs[at]), was, figure(o.allow[at]))
}

// closest is the op that is nearest to what it may be by the baseline, with
// that ratio: 1 is as before.
func closest(now map[tap.Tap]*op, base *Record) (t tap.Tap, times float64) {
	for _, candidate := range tap.All() {
		o, before := now[candidate], base.Ops[candidate]
		if o == nil {
			continue
		}
		for l, e := range o.errs {
			if l < len(before) && before[l] > 0 && e > o.floor[l] && e/before[l] > times {
				t, times = candidate, e/before[l]
			}
		}
	}
	return t, times
}

// figures are the ops as a baseline keeps them.
func figures(now map[tap.Tap]*op) map[tap.Tap][]float64 {
	out := map[tap.Tap][]float64{}
	for t, o := range now {
		out[t] = o.errs
	}
	return out
}
