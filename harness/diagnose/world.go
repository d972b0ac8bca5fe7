package diagnose

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// world is a run that could have been: random recordings of this model's
// shapes, long enough to tell apart what this run's data cannot.
type world struct{ meta trace.Meta }

// The steps of a world: a prefill that ends in a partial tile whatever the
// tile, a step of a few tokens after it, a decode. Products cost more per token and see no
// positions.
var (
	worldSteps  = []int{255, 5, 1}
	productStep = []int{37, 5, 1}
)

func newWorld(hp trace.Hparams, t tap.Tap) *world {
	steps := worldSteps
	if slices.Contains(projectionTaps, t) {
		steps = productStep
	}
	w := &world{trace.Meta{Hparams: hp, Steps: steps}}
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range steps {
		for range n {
			w.meta.Tokens = append(w.meta.Tokens, int32(r.IntN(max(hp.NVocab, 1))))
		}
	}
	return w
}

// keys are the recordings that two mistakes are compared on.
func (w *world) keys(t tap.Tap) []tap.Key {
	last := w.meta.Hparams.NLayer - 1
	if !t.PerLayer() {
		return []tap.Key{tap.At(0, tap.NoLayer, t), tap.At(1, tap.NoLayer, t), tap.At(2, tap.NoLayer, t)}
	}
	return []tap.Key{tap.At(2, last, t), tap.At(1, last, t), tap.At(1, 0, t), tap.At(0, last, t)}
}

// Meta implements [oracle.Source].
func (w *world) Meta() trace.Meta { return w.meta }

// Dims implements [oracle.Source].
func (w *world) Dims(step int) tap.Dims {
	d := w.meta.Hparams.Dims()
	for i, n := range w.meta.Steps {
		if i == step {
			d.T = n
			break
		}
		d.P += n
	}
	return d
}

// Info implements [oracle.Source]: everything is recorded.
func (w *world) Info(k tap.Key) (trace.Info, bool) {
	return trace.Info{DType: trace.F32, Shape: k.Tap.Shape(w.Dims(k.Step))}, true
}

// Float64 implements [oracle.Source]: normal values from the key's own seed,
// with a few large ones, positive and negative, as real activations have.
func (w *world) Float64(k tap.Key, _ []float64) ([]float64, error) {
	h := fnv.New64a()
	fmt.Fprint(h, k)
	r := rand.New(rand.NewPCG(h.Sum64(), 3))
	v := make([]float64, tap.Elements(k.Tap.Shape(w.Dims(k.Step))))
	for i := range v {
		v[i] = r.NormFloat64() * math.Exp(2*r.NormFloat64())
	}
	return v, nil
}

// alias reports whether two candidates are the same computation for this
// model: they agree on data that no run has chosen.
func (e *experiment) alias(a, b *candidate) (bool, error) {
	w := newWorld(e.bench.Reference.Meta().Hparams, e.tap)
	for _, k := range w.keys(e.tap) {
		x, errX := e.imagine(a.variant, w, k)
		y, errY := e.imagine(b.variant, w, k)
		if errors.Is(errX, oracle.ErrNotApplicable) && errors.Is(errY, oracle.ErrNotApplicable) {
			continue
		}
		if errors.Is(errX, oracle.ErrNotApplicable) || errors.Is(errY, oracle.ErrNotApplicable) {
			return false, nil
		}
		if err := errors.Join(errX, errY); err != nil {
			return false, err
		}
		if !agree(x, y) {
			return false, nil
		}
	}
	return true, nil
}

// imagine recomputes a tap of the world under a variant.
func (e *experiment) imagine(v oracle.Variant, w *world, k tap.Key) (oracle.Value, error) {
	values, err := e.oracle.With(v).Eval([]oracle.Request{{Side: oracle.NewSide(w, oracle.PlainF32, nil), Key: k}})
	if err != nil {
		return oracle.Value{}, err
	}
	return values[0], nil
}

// agree reports whether two values are equal to rounding, open in the same
// places.
func agree(x, y oracle.Value) bool {
	for i, a := range x.Data {
		b := y.Data[i]
		d := a - b
		switch {
		case math.IsNaN(a) && math.IsNaN(b) || a == b:
		case !(d*d <= oracle.Confidence*math.Max(x.Noise[i], y.Noise[i])):
			return false
		}
	}
	return true
}
