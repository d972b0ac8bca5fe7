package diagnose

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// lab is a run that was never made: a small model with random recordings and
// vectors. Every op can be recomputed from the recordings, right or wrong.
type lab struct {
	hp      trace.Hparams
	steps   []int
	vectors map[string][]float64
	held    map[tap.Key][]float64
	seed    uint64
}

// newLab returns a run of a prefill and two decodes.
func newLab() *lab {
	l := &lab{
		hp: trace.Hparams{NLayer: 3, NEmbd: 32, NHead: 4, NHeadKV: 2, HeadDim: 8, NFF: 40, NVocab: 24,
			RopeFreqBase: 1e6, RMSEps: 1e-6, KVType: "f32"},
		steps: []int{6, 1, 1}, vectors: map[string][]float64{}, held: map[tap.Key][]float64{}, seed: 7,
	}
	for _, format := range tensorOf {
		for layer := range l.hp.NLayer {
			name := layerName(format, layer)
			n := map[byte]int{'q': 32, 'k': 16, 'v': 16}[format[max(len(format)-6, 0)]]
			switch {
			case slices.Contains(biasNames, format):
				l.vectors[name] = l.random(name, n, 0)
			case format == tensorOf[tap.AttnNorm] || format == tensorOf[tap.FFNNorm] || format == tensorOf[tap.ResultNorm]:
				l.vectors[name] = l.random(name, l.hp.NEmbd, 3)
			}
		}
	}
	return l
}

// random is a vector of normal values around a mean, from its own seed.
func (l *lab) random(name string, n int, mean float64) []float64 {
	var s uint64
	for _, b := range []byte(name) {
		s = s*131 + uint64(b)
	}
	r := rand.New(rand.NewPCG(s, l.seed))
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(mean + r.NormFloat64()))
	}
	return v
}

// Meta implements [oracle.Source].
func (l *lab) Meta() trace.Meta {
	n := 0
	for _, s := range l.steps {
		n += s
	}
	return trace.Meta{Hparams: l.hp, Steps: l.steps, Tokens: make([]int32, n)}
}

// Dims implements [oracle.Source].
func (l *lab) Dims(step int) tap.Dims {
	d := l.hp.Dims()
	for s, n := range l.steps {
		if s == step {
			d.T = n
			break
		}
		d.P += n
	}
	return d
}

// Info implements [oracle.Source]: everything is recorded, in f32.
func (l *lab) Info(k tap.Key) (trace.Info, bool) {
	return trace.Info{DType: trace.F32, Shape: k.Tap.Shape(l.Dims(k.Step))}, true
}

// Float64 implements [oracle.Source].
func (l *lab) Float64(k tap.Key, _ []float64) ([]float64, error) {
	v, ok := l.held[k]
	if !ok {
		v = l.random(k.String(), tap.Elements(k.Tap.Shape(l.Dims(k.Step))), 0)
		l.held[k] = v
	}
	return slices.Clone(v), nil
}

// Shape implements [oracle.Weights].
func (l *lab) Shape(name string) ([]int, bool) {
	v, ok := l.vectors[name]
	return []int{len(v)}, ok
}

// Type implements [oracle.Weights].
func (l *lab) Type(name string) string {
	if _, ok := l.vectors[name]; ok {
		return "F32"
	}
	return ""
}

// Rows implements [oracle.Weights].
func (l *lab) Rows(name string, lo, hi int) ([]float32, error) {
	v, ok := l.vectors[name]
	if !ok {
		return nil, fmt.Errorf("lab: no tensor %s", name)
	}
	out := make([]float32, hi-lo)
	for i := range out {
		out[i] = float32(v[lo+i])
	}
	return out, nil
}

// op recomputes a recording under a variant.
func (l *lab) op(v oracle.Variant, k tap.Key) (oracle.Value, error) {
	o := oracle.New(l, l.hp, oracle.Default(l.hp)).With(v)
	values, err := o.Eval([]oracle.Request{{Side: oracle.NewSide(l, oracle.PlainF32, nil), Key: k}})
	if err != nil {
		return oracle.Value{}, err
	}
	return values[0], nil
}

// probe plants a mistake in every recording of an op, at the first and the last
// layer, and returns what the probes are given. wrong gets the right values and
// returns the wrong ones; they are rounded to f32.
func (l *lab) probe(t tap.Tap, wrong func(x *exhibit) []float64) *probe {
	p := &probe{tap: t, dims: l.hp.Dims(), layers: l.hp.NLayer, steps: l.steps}
	layers := []int{0, l.hp.NLayer - 1}
	if !t.PerLayer() {
		layers = []int{tap.NoLayer}
	}
	for step := range l.steps {
		for _, layer := range layers {
			k := tap.At(step, layer, t)
			want, err := l.op(oracle.Variant{}, k)
			if err != nil { // a product: any values will do
				want = l.made(k)
			}
			right := newExhibit(recording{key: k, got: want.Data, dtype: trace.F32, allowance: 1e-12}, want, l.Dims(step))
			got := wrong(right)
			for i, v := range got {
				got[i] = float64(float32(v))
			}
			x := newExhibit(recording{key: k, got: got, dtype: trace.F32, allowance: 1e-12}, want, l.Dims(step))
			if x.wrongs > 0 {
				p.exhibits = append(p.exhibits, x)
				l.held[k] = got
			}
		}
	}
	slices.SortStableFunc(p.exhibits, func(a, b *exhibit) int { return len(a.got) - len(b.got) })
	p.recorded = func(k tap.Key) []float64 {
		if k.Step < 0 || k.Step >= len(l.steps) {
			return nil
		}
		v, _ := l.Float64(k, nil)
		return v
	}
	p.recompute = func(v oracle.Variant, x *exhibit) *claim {
		value, err := l.op(v, x.key)
		if err != nil || len(value.Data) != len(x.got) {
			return nil
		}
		return &claim{v: value.Data, noise: x.owed(value)}
	}
	p.vector = func(name string) []float64 { return l.vectors[name] }
	p.alike = func(name string) []string {
		var out []string
		for other, v := range l.vectors {
			if other != name && len(v) == len(l.vectors[name]) {
				out = append(out, other)
			}
		}
		return out
	}
	return p
}

// made is a value that no formula gave.
func (l *lab) made(k tap.Key) oracle.Value {
	shape := k.Tap.Shape(l.Dims(k.Step))
	v := oracle.Value{Shape: shape, Data: l.random("made "+k.String(), tap.Elements(shape), 0)}
	v.Noise = make([]float64, len(v.Data))
	for i, y := range v.Data {
		v.Noise[i] = f32Rounding * y * y
	}
	return v
}

// each builds wrong values element by element.
func each(f func(x *exhibit, i int) float64) func(*exhibit) []float64 {
	return func(x *exhibit) []float64 {
		v := make([]float64, len(x.want))
		for i := range v {
			v[i] = f(x, i)
		}
		return v
	}
}

// done recomputes the op under a variant.
func (l *lab) done(v oracle.Variant) func(*exhibit) []float64 {
	return func(x *exhibit) []float64 {
		value, err := l.op(v, x.key)
		if err != nil {
			return slices.Clone(x.want)
		}
		return slices.Clone(value.Data)
	}
}

// unwrittenBits is a NaN with a payload, as poisoned memory holds.
var unwrittenBits = math.Float64frombits(0x7ffaaffaa0000000) // 0x7fd57fd5 widened
