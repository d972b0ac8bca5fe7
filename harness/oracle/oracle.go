package oracle

import (
	"fmt"
	"slices"
	"sync"

	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Weights are a model's tensors as the oracle reads them, by GGUF name.
type Weights interface {
	// Shape returns a tensor's row-major shape ([out,in] for a matrix).
	Shape(name string) (shape []int, ok bool)
	// Type returns its element type as ggml spells it ("F16", "Q8_0"), "" when
	// there is no such tensor.
	Type(name string) string
	// Rows returns rows lo to hi of a matrix, or of a vector the elements,
	// dequantised.
	Rows(name string, lo, hi int) ([]float32, error)
}

// Oracle recomputes taps of one model.
type Oracle struct {
	weights Weights
	hp      trace.Hparams
	sem     Semantics

	mu      sync.Mutex
	vectors map[string][]float64 // norms and biases, by name
}

// New returns the oracle of a model under the given semantics.
func New(w Weights, hp trace.Hparams, sem Semantics) *Oracle {
	return &Oracle{weights: w, hp: hp, sem: sem, vectors: map[string][]float64{}}
}

// Request asks for one tap of one side.
type Request struct {
	Side *Side
	Key  tap.Key
}

// Eval recomputes several recordings of one tap and layer, steps and sides
// mixed; the weights are read once for all of them.
func (o *Oracle) Eval(reqs []Request) ([]Value, error) {
	var results []derived
	if len(reqs) > 0 && weightOf(reqs[0].Key) != "" {
		batch, err := o.evalLinear(reqs)
		if err != nil {
			return nil, err
		}
		results = batch
	} else {
		for _, r := range reqs {
			d, err := o.eval(r.Side, r.Key)
			if err != nil {
				return nil, err
			}
			results = append(results, d)
		}
	}
	values := make([]Value, len(reqs))
	for i, d := range results {
		k := reqs[i].Key
		values[i] = Value{
			Shape:    k.Tap.Shape(reqs[i].Side.trace.Dims(k.Step)),
			Data:     d.v,
			Noise:    d.noise,
			Exact:    d.noise == nil,
			Inputs:   dedupe(d.inputs),
			Composed: d.composed,
		}
		if d.noise == nil {
			values[i].Noise = make([]float64, len(d.v))
		}
	}
	return values, nil
}

// evalLinear recomputes projections: all inputs are stacked into one product.
func (o *Oracle) evalLinear(reqs []Request) ([]derived, error) {
	name := o.resolve(weightOf(reqs[0].Key))
	xs, operand, from := make([]rows, len(reqs)), make([]string, len(reqs)), make([]derived, len(reqs))
	for i, r := range reqs {
		d, err := o.input(r.Side, r.Key, linearInput(r.Key))
		if err != nil {
			return nil, err
		}
		from[i], xs[i], operand[i] = d, d.rows, "F32"
		if r.Side.arith == GGML {
			operand[i] = o.weights.Type(name)
		}
	}
	ys, err := o.linear(xs, name, operand)
	if err != nil {
		return nil, err
	}
	for i, y := range ys {
		from[i].rows = split(y, reqs[i].Key, o.hp)
	}
	return from, nil
}

// split views a projection's rows as heads where the tap has them.
func split(y rows, k tap.Key, hp trace.Hparams) rows {
	switch k.Tap {
	case tap.QProj, tap.KProj, tap.VProj:
		y.n, y.width = y.n*y.width/hp.HeadDim, hp.HeadDim
	}
	return y
}

// flat views rows of heads as rows of tokens, heads merged.
func flat(x rows, tokens int) rows {
	x.n, x.width = tokens, len(x.v)/max(tokens, 1)
	return x
}

// resolve follows tied embeddings: the logits' matrix is output.weight or,
// where the model has none, token_embd.weight.
func (o *Oracle) resolve(name string) string {
	if name == "output.weight" && o.weights.Type(name) == "" {
		return "token_embd.weight"
	}
	return name
}

// vector returns a norm weight or bias, or nil when the model has none.
func (o *Oracle) vector(name string) ([]float64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if v, ok := o.vectors[name]; ok {
		return v, nil
	}
	shape, ok := o.weights.Shape(name)
	if !ok {
		return nil, nil
	}
	if len(shape) != 1 {
		return nil, fmt.Errorf("model: tensor %s: shape %v, want a vector", name, shape)
	}
	f, err := o.weights.Rows(name, 0, shape[0])
	if err != nil {
		return nil, err
	}
	v := make([]float64, len(f))
	for i, x := range f {
		v[i] = float64(x)
	}
	o.vectors[name] = v
	return v, nil
}

// dedupe sorts keys into execution order without repeats.
func dedupe(keys []tap.Key) []tap.Key {
	slices.SortFunc(keys, tap.Key.Compare)
	return slices.Compact(keys)
}
