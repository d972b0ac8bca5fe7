package diagnose

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"attndiff/harness/oracle"
	"attndiff/harness/verdict"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Bench is what experiments are made on: both traces, the model and the
// verdict that says which ops are wrong.
type Bench struct {
	Reference, Ours *trace.Reader
	Model           *gguf.File
	Result          *verdict.Result
}

// model returns what the catalogue depends on.
func (b *Bench) model() Model {
	meta := b.Ours.Meta()
	h := meta.Hparams
	return Model{Dims: h.Dims(), Layers: h.NLayer, KVType: h.KVType, RMSEps: h.RMSEps, Base: h.RopeFreqBase,
		Tokens: len(meta.Tokens)}
}

// experiment is one wrong op: a sample of its wrong recordings, and what each
// may differ by to count as reproduced.
type experiment struct {
	bench  *Bench
	oracle *oracle.Oracle
	tap    tap.Tap
	sample []recording
}

// recording is one wrong recording of ours.
type recording struct {
	key       tap.Key
	got       []float64
	dtype     trace.DType
	allowance float64 // the op's allowance, an NMSE
}

// sampleSize bounds how many recordings an experiment reproduces: the first
// and last layer, in the first, second and last wrong step.
const sampleSize = 6

// newExperiment loads the sample of a group of wrong recordings of one tap.
func newExperiment(b *Bench, group []verdict.Tap) (*experiment, error) {
	hp := b.Reference.Meta().Hparams
	e := &experiment{bench: b, tap: group[0].Key.Tap,
		oracle: oracle.New(oracle.GGUF(b.Model), hp, oracle.Default(hp))}
	for _, t := range sample(group) {
		if !slices.Equal(t.Shape, t.Key.Tap.Shape(b.Ours.Dims(t.Key.Step))) {
			continue // no formula gives another shape; the verdict names both
		}
		got, err := b.Ours.Float64(t.Key, nil)
		if err != nil {
			return nil, err
		}
		info, _ := b.Ours.Info(t.Key)
		e.sample = append(e.sample, recording{t.Key, got, info.DType, t.Allowance})
	}
	return e, nil
}

// sample picks recordings that differ in what they can show. The smallest come
// first, so that a hypothesis that does not hold is dropped early.
func sample(group []verdict.Tap) []verdict.Tap {
	var steps, layers []int
	for _, t := range group {
		steps, layers = append(steps, t.Key.Step), append(layers, t.Key.Layer)
	}
	ends := func(v []int) []int {
		slices.Sort(v)
		v = slices.Compact(v)
		return []int{v[0], v[min(1, len(v)-1)], v[len(v)-1]}
	}
	steps = ends(steps)
	layers = ends(layers)
	var picked []verdict.Tap
	for _, t := range group {
		if slices.Contains(steps, t.Key.Step) && (t.Key.Layer == layers[0] || t.Key.Layer == layers[2]) {
			picked = append(picked, t)
		}
	}
	slices.SortStableFunc(picked, func(a, b verdict.Tap) int { return tap.Elements(a.Shape) - tap.Elements(b.Shape) })
	return picked[:min(len(picked), sampleSize)]
}

// outcome is how well a variant reproduces the sample.
type outcome struct {
	residual float64 // NMSE over the sample
	within   bool    // every recording within its allowance
}

// try recomputes recordings under a variant. It gives up at the first
// recording whose residual exceeds giveUp. A variant that does not apply, or
// leaves more than half undefined, claims nothing.
func (e *experiment) try(v oracle.Variant, recordings []recording, giveUp float64) (outcome, error) {
	var err2, energy float64
	within := true
	for _, r := range recordings {
		want, err := e.eval(v, r.key)
		if errors.Is(err, oracle.ErrNotApplicable) {
			return outcome{residual: math.Inf(1)}, nil
		}
		if err != nil {
			return outcome{}, fmt.Errorf("recomputing %s under a variant: %w", r.key, err)
		}
		d, ok := difference(r, want)
		if !ok {
			return outcome{residual: math.Inf(1)}, nil
		}
		err2, energy = err2+d.err, energy+d.energy
		limit := math.Max(r.allowance*d.energy, oracle.Confidence*d.noise)
		within = within && d.err <= limit
		if !(ratio(d.err, d.energy) <= giveUp) {
			return outcome{residual: ratio(err2, energy)}, nil
		}
	}
	return outcome{residual: ratio(err2, energy), within: within}, nil
}

// eval recomputes one recording of ours under a variant.
func (e *experiment) eval(v oracle.Variant, k tap.Key) (oracle.Value, error) {
	side := oracle.NewSide(e.bench.Ours, oracle.PlainF32, nil)
	values, err := e.oracle.With(v).Eval([]oracle.Request{{Side: side, Key: k}})
	if err != nil {
		return oracle.Value{}, err
	}
	return values[0], nil
}

// sums are the squared error, squared value and noise over a recording.
type sums struct{ err, energy, noise float64 }

// difference measures a recording against a recomputed value. NaN in the value
// makes no claim; an infinity must be met exactly. ok is false when the value
// claims less than half of the elements.
func difference(r recording, want oracle.Value) (d sums, ok bool) {
	if len(want.Data) != len(r.got) {
		return d, false
	}
	claimed := 0
	for i, y := range want.Data {
		x := r.got[i]
		switch {
		case math.IsNaN(y):
			continue
		case math.IsInf(y, 0) || math.IsInf(x, 0):
			if x != y {
				return sums{err: math.Inf(1), energy: 1}, true
			}
		default:
			d.err += (x - y) * (x - y)
			d.energy += y * y
			d.noise += want.Noise[i] + oracle.StorageNoise(r.dtype, y)
		}
		claimed++
	}
	return d, 2*claimed >= len(r.got)
}

// ratio is e/s, 0 for 0/0.
func ratio(e, s float64) float64 {
	if e == 0 {
		return 0
	}
	return e / s
}
