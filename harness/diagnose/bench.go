package diagnose

import (
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

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
	// Poisoned is the same run with NaN in memory that nobody wrote, where Ours
	// found ordinary numbers there; nil when there was none.
	Poisoned *Bench
	// Unstable are the recordings that differ between identical runs of ours; nil
	// when ours ran once.
	Unstable map[tap.Key]bool
	// Stop, when set, is asked before each experiment, from any goroutine; an
	// error ends them with it.
	Stop func() error

	weights *heldWeights    // read once for all experiments
	source  *heldRecordings // ours' recordings, read once
}

// prepare opens what experiments share.
func (b *Bench) prepare() {
	b.weights = holdWeights(oracle.GGUF(b.Model))
	b.source = holdRecordings(b.Ours)
	if b.Poisoned != nil {
		b.Poisoned.weights, b.Poisoned.source = b.weights, holdRecordings(b.Poisoned.Ours)
	}
}

// stopped returns the error that experiments are to end with.
func (b *Bench) stopped() error {
	if b.Stop == nil {
		return nil
	}
	return b.Stop()
}

// each calls f for 0 to n-1, on as many goroutines as there are cores.
func (b *Bench) each(n int, f func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		group.Go(func() error {
			if err := b.stopped(); err != nil {
				return err
			}
			return f(i)
		})
	}
	return group.Wait()
}

// model returns what the catalogue depends on.
func (b *Bench) model() Model {
	meta := b.Ours.Meta()
	hp := b.Reference.Meta().Hparams
	return Model{Dims: hp.Dims(), Layers: hp.NLayer, KVType: meta.Hparams.KVType, Right: oracle.Default(hp), Steps: meta.Steps,
		Vector: func(name string) []float64 { return vector(b.weights, name) }}
}

// vector reads a norm weight or bias; nil when the model has none.
func vector(w oracle.Weights, name string) []float64 {
	shape, ok := w.Shape(name)
	if !ok || len(shape) != 1 {
		return nil
	}
	f, err := w.Rows(name, 0, shape[0])
	if err != nil {
		return nil
	}
	v := make([]float64, len(f))
	for i, x := range f {
		v[i] = float64(x)
	}
	return v
}

// experiment is one wrong op: a sample of its wrong recordings, which a
// mistake must reproduce, and of its right ones, where it must not show.
type experiment struct {
	bench    *Bench
	oracle   *oracle.Oracle
	tap      tap.Tap
	sample   []recording   // wrong ones, smallest first
	controls []recording   // right ones
	rest     []verdict.Tap // wrong ones that are not sampled
}

// sampleSize bounds how many recordings an experiment reproduces: the first
// and last layer, in the first, second and last wrong step.
const sampleSize = 6

// newExperiment loads the samples for a group of wrong recordings of one tap.
func newExperiment(b *Bench, group []verdict.Tap) (*experiment, error) {
	hp := b.Reference.Meta().Hparams
	e := &experiment{bench: b, tap: group[0].Key.Tap, oracle: oracle.New(b.weights, hp, oracle.Default(hp))}
	var right []verdict.Tap
	for _, t := range b.Result.Taps {
		if t.Key.Tap == e.tap && !t.Far && (t.Status == verdict.OK || t.Status == verdict.Inherited) {
			right = append(right, t)
		}
	}
	var err error
	chosen := sample(group)
	if e.sample, err = e.load(chosen); err != nil {
		return nil, err
	}
	if e.controls, err = e.load(sample(right)); err != nil {
		return nil, err
	}
	for _, t := range group {
		if !slices.ContainsFunc(chosen, func(c verdict.Tap) bool { return c.Key == t.Key }) {
			e.rest = append(e.rest, t)
		}
	}
	return e, nil
}

// load reads recordings and what they would be if the op were right. One of
// another shape is left out: no formula gives it, and the verdict names both
// shapes.
func (e *experiment) load(taps []verdict.Tap) ([]recording, error) {
	var out []recording
	for _, t := range taps {
		if !slices.Equal(t.Shape, t.Key.Tap.Shape(e.bench.Ours.Dims(t.Key.Step))) {
			continue
		}
		got, err := e.bench.source.Float64(t.Key, nil)
		if err != nil {
			return nil, err
		}
		right, err := e.eval(oracle.Variant{}, t.Key)
		if err != nil {
			return nil, err
		}
		info, _ := e.bench.Ours.Info(t.Key)
		out = append(out, recording{key: t.Key, got: got, dtype: info.DType, allowance: t.Allowance, right: right,
			older: older(t.Key.Tap, e.bench.Ours.Dims(t.Key.Step))})
	}
	return out, nil
}

// older is how many leading elements of a recording were there before its step:
// the rows of a cache.
func older(t tap.Tap, d tap.Dims) int {
	if t != tap.KCache && t != tap.VCache {
		return 0
	}
	return d.P * d.G * d.D
}

// sample picks recordings that differ in what they can show. The smallest come
// first, so that a hypothesis that does not hold is dropped early.
func sample(group []verdict.Tap) []verdict.Tap {
	if len(group) == 0 {
		return nil
	}
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

// eval recomputes one recording of ours under a variant.
func (e *experiment) eval(v oracle.Variant, k tap.Key) (oracle.Value, error) {
	side := oracle.NewSide(e.bench.source, oracle.PlainF32, nil)
	values, err := e.oracle.With(v).Eval([]oracle.Request{{Side: side, Key: k}})
	if err != nil {
		return oracle.Value{}, err
	}
	return values[0], nil
}
