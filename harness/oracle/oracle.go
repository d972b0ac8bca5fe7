package oracle

import (
	"fmt"
	"slices"
	"sync"

	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Oracle recomputes taps of one model.
type Oracle struct {
	weights Weights
	hp      trace.Hparams
	sem     Semantics
	variant Variant // what is done wrong, nothing by default

	vectors  *vectors
	bridging *sync.Mutex // held while a gap is bridged
	reach    float64     // see Reach
}

// Reach is how many multiplications are worth recomputing what was not recorded
// ([Oracle.Far]): a minute or two of a core. Whole layers cost more than that
// for a long prompt, and across so many ops a composition allows so much that it
// says little more than drift does.
const Reach = 2e11

// New returns the oracle of a model under the given semantics.
func New(w Weights, hp trace.Hparams, sem Semantics) *Oracle {
	return &Oracle{weights: w, hp: hp, sem: sem, vectors: &vectors{weights: w, held: map[string][]float64{}},
		bridging: &sync.Mutex{}, reach: Reach}
}

// Within returns the same oracle with another reach than [Reach].
func (o *Oracle) Within(reach float64) *Oracle {
	within := *o
	within.reach = reach
	return &within
}

// Apart returns the same oracle, whose gaps are bridged without waiting for
// those of o. The sides it is asked about must be its own.
func (o *Oracle) Apart() *Oracle {
	apart := *o
	apart.bridging = &sync.Mutex{}
	return &apart
}

// Request asks for one tap of one side.
type Request struct {
	Side *Side
	Key  tap.Key
}

// Eval recomputes several recordings of one tap and layer, steps and sides
// mixed; the weights are read once for all of them.
func (o *Oracle) Eval(reqs []Request) ([]Value, error) {
	results, err := o.bridged(reqs)
	if err != nil {
		return nil, err
	}
	values := make([]Value, len(reqs))
	for i, d := range results {
		k := reqs[i].Key
		values[i] = Value{
			Shape:    k.Tap.Shape(reqs[i].Side.trace.Dims(k.Step)),
			Data:     d.V,
			Noise:    d.Noise,
			Exact:    d.Noise == nil,
			Inputs:   d.inputs,
			Composed: d.composed.list(),
		}
		if d.Noise == nil {
			values[i].Noise = make([]float64, len(d.V))
		}
	}
	return values, nil
}

// Turned returns, for each of several values that were composed, the noise with
// every stored rounding in between going the other way that can: what a turn
// does that the variance, an average over many, does not show. It is nil where
// no cache was composed.
func (o *Oracle) Turned(reqs []Request, values []Value) ([][]float64, error) {
	noise := make([][]float64, len(reqs))
	var turned []Request
	var at []int
	for i, v := range values {
		if len(v.Composed) > 0 && !v.Exact && slices.ContainsFunc(append(slices.Clip(v.Composed), reqs[i].Key.Tap), cached) {
			turned, at = append(turned, Request{reqs[i].Side.turned(), reqs[i].Key}), append(at, i)
		}
	}
	results, err := o.bridged(turned)
	if err != nil {
		return nil, err
	}
	for i, d := range results {
		noise[at[i]] = d.Noise
	}
	return noise, nil
}

// cached reports whether a tap is a cache.
func cached(t tap.Tap) bool { return t == tap.KCache || t == tap.VCache }

// bridged recomputes requests and before them what they read and was not
// recorded.
func (o *Oracle) bridged(reqs []Request) ([]derived, error) {
	release, err := o.bridge(reqs)
	defer release()
	if err != nil {
		return nil, err
	}
	return o.evalAll(reqs)
}

// evalAll recomputes requests of one tap and layer.
func (o *Oracle) evalAll(reqs []Request) ([]derived, error) {
	if len(reqs) > 0 && weightOf(reqs[0].Key) != "" {
		return o.evalLinear(reqs, nil)
	}
	results := make([]derived, len(reqs))
	for i, r := range reqs {
		var err error
		if results[i], err = o.eval(r.Side, r.Key, nil); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// evalLinear recomputes projections, for the sake of above if that is not nil:
// all inputs are stacked into one product.
func (o *Oracle) evalLinear(reqs []Request, above *evaluation) ([]derived, error) {
	of := reqs[0].Key
	name := o.resolve(weightOf(of))
	shape, ok := o.weights.Shape(name)
	if !ok || len(shape) != 2 {
		return nil, fmt.Errorf("model: tensor %s: missing or not a matrix", name)
	}
	p := product{o: o, of: of, name: o.variant.tensor(of, name), out: shape[0], in: shape[1], accumulate: o.semantics(of).Accumulate}
	from := make([]*evaluation, len(reqs))
	for i, r := range reqs {
		e := &evaluation{o: o, s: r.Side, k: r.Key, dims: r.Side.trace.Dims(r.Key.Step), above: above}
		x := e.in(linearInput(r.Key))
		if e.err != nil {
			return nil, e.err
		}
		from[i] = e
		p.xs, p.how = append(p.xs, flat(x, e.dims.T)), append(p.how, r.Side.arith.multiply(o.weights.Type(name), p.in))
	}
	ys, err := p.compute()
	if err != nil {
		return nil, err
	}
	results := make([]derived, len(reqs))
	for i, y := range ys {
		if results[i], err = from[i].finish(split(y, reqs[i].Key, o.hp)); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// split views a projection's rows as heads where the tap has them.
func split(y Rows, k tap.Key, hp trace.Hparams) Rows {
	switch k.Tap {
	case tap.QProj, tap.KProj, tap.VProj:
		y.N, y.Width = y.N*y.Width/hp.HeadDim, hp.HeadDim
	}
	return y
}

// flat views rows of heads as rows of tokens, heads merged.
func flat(x Rows, tokens int) Rows {
	x.N, x.Width = tokens, len(x.V)/max(tokens, 1)
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

// dedupe sorts keys into execution order without repeats.
func dedupe(keys []tap.Key) []tap.Key {
	slices.SortFunc(keys, tap.Key.Compare)
	return slices.Compact(keys)
}
