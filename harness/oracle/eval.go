package oracle

import (
	"fmt"

	"attndiff/traces/tap"
)

// evaluation is one tap being recomputed. Errors stick: after the first, inputs
// come back empty and the result is not used.
type evaluation struct {
	o     *Oracle
	s     *Side
	k     tap.Key
	dims  tap.Dims
	sem   Semantics
	above *evaluation // what this is recomputed for, nil for what was asked
	got   derived
	open  bool // an input has elements that may be anything
	err   error
}

// eval recomputes one tap that is not a projection, for the sake of above if
// that is not nil.
func (o *Oracle) eval(s *Side, k tap.Key, above *evaluation) (derived, error) {
	e := &evaluation{o: o, s: s, k: k, dims: s.trace.Dims(k.Step), sem: o.semantics(k), above: above}
	e.sem.arith = s.arith
	e.got.Rows = e.formula()
	return e.finish(e.got.Rows)
}

// finish puts the op's result through the variant.
func (e *evaluation) finish(y Rows) (derived, error) {
	if e.err != nil {
		return derived{}, e.err
	}
	y, err := e.o.variant.result(e.k, y, e.dims, func(k tap.Key) (Rows, error) {
		if k.Compare(e.k) >= 0 && !e.s.has(k) {
			return Rows{}, ErrNotApplicable // it can only be had from this op
		}
		x := e.raw(k)
		return x, e.err
	})
	if err != nil {
		return derived{}, err
	}
	if e.o.variant.none() {
		y.inRange(e.open)
	}
	e.got.Rows, e.got.inputs = y, dedupe(e.got.inputs)
	return e.got, nil
}

// in returns an input: what op k reads where key is meant.
func (e *evaluation) in(key tap.Key) Rows {
	x := e.raw(e.o.variant.read(e.k, key))
	if e.err != nil {
		return Rows{}
	}
	return e.o.variant.feed(e.k, key, x, e.s.trace.Dims(key.Step))
}

// raw fetches a recording or recomputes it.
func (e *evaluation) raw(key tap.Key) Rows {
	if e.err != nil {
		return Rows{}
	}
	if key.Step < 0 || key.Step >= len(e.s.trace.Meta().Steps) || key.Layer < tap.NoLayer || key.Tap.PerLayer() && key.Layer < 0 || key.Layer >= e.o.hp.NLayer {
		e.err = ErrNotApplicable
		return Rows{}
	}
	d, err := e.o.fetch(e.s, key, e)
	if err != nil {
		e.err = err
		return Rows{}
	}
	e.got.inputs = append(e.got.inputs, d.inputs...)
	e.got.composed |= d.composed
	e.open = e.open || d.anyOpen()
	return d.Rows
}

// at returns an input of the same step and layer.
func (e *evaluation) at(t tap.Tap) Rows { return e.in(tap.At(e.k.Step, e.k.Layer, t)) }

// vec returns a norm weight or bias; format takes the layer.
func (e *evaluation) vec(format string) []float64 {
	name := format
	if e.k.Layer != tap.NoLayer {
		name = fmt.Sprintf(format, e.k.Layer)
	}
	meant := name
	name = e.o.variant.tensor(e.k, name)
	v, err := e.o.vector(name)
	switch {
	case err == nil && v == nil && name != meant:
		err = ErrNotApplicable
	case err == nil && v == nil:
		err = fmt.Errorf("model: tensor %s is missing", name)
	}
	if e.err == nil {
		e.err = err
	}
	return v
}

// formula computes the tap from its inputs. Each case fetches them first; a
// failed fetch leaves nothing to compute with.
func (e *evaluation) formula() Rows {
	d, sem, k := e.dims, e.sem, e.k
	sum := func(a, b Rows) Rows { return add(a, b, sem) }
	one := func(x Rows, f func(Rows) Rows) Rows {
		if e.err != nil {
			return Rows{}
		}
		return f(x)
	}
	// fit holds of inputs that are meant; a mistaken read may not fit.
	two := func(x, y Rows, fit bool, f func(x, y Rows) Rows) Rows {
		if e.err == nil && !fit {
			e.err = ErrNotApplicable
		}
		return one(x, func(x Rows) Rows { return f(x, y) })
	}
	alike := func(x, y Rows, f func(x, y Rows) Rows) Rows { return two(x, y, len(x.V) == len(y.V), f) }
	norm := func(x Rows, w []float64) Rows {
		if e.err == nil && len(w) != x.Width {
			e.err = ErrNotApplicable
		}
		return one(x, func(x Rows) Rows { return rmsNorm(x, w, sem) })
	}
	bias := func(x Rows, b []float64) Rows {
		return one(x, func(x Rows) Rows { return heads(addBias(flat(x, d.T), b, sem), d.D) })
	}
	switch k.Tap {
	case tap.InpEmbd:
		return e.embed()
	case tap.AttnNorm:
		return norm(e.in(layerInput(k.Step, k.Layer)), e.vec("blk.%d.attn_norm.weight"))
	case tap.FFNNorm:
		return norm(e.at(tap.FFNInp), e.vec("blk.%d.ffn_norm.weight"))
	case tap.ResultNorm:
		return norm(e.in(layerInput(k.Step, e.o.hp.NLayer)), e.vec("output_norm.weight"))
	case tap.QBias:
		return bias(e.at(tap.QProj), e.vec("blk.%d.attn_q.bias"))
	case tap.KBias:
		return bias(e.at(tap.KProj), e.vec("blk.%d.attn_k.bias"))
	case tap.VBias:
		return bias(e.at(tap.VProj), e.vec("blk.%d.attn_v.bias"))
	case tap.QRope:
		return one(e.in(e.o.biased(k, tap.QProj, tap.QBias, "attn_q")),
			func(x Rows) Rows { return rope(x, d.H, sem.positions(d.P, d.T), sem) })
	case tap.KRope:
		return one(e.in(e.o.biased(k, tap.KProj, tap.KBias, "attn_k")),
			func(x Rows) Rows { return rope(x, d.G, sem.positions(d.P, d.T), sem) })
	case tap.KCache:
		return e.cache(tap.At(k.Step, k.Layer, tap.KRope))
	case tap.VCache:
		return e.cache(e.o.biased(k, tap.VProj, tap.VBias, "attn_v"))
	case tap.KQ:
		q, c := e.at(tap.QRope), e.at(tap.KCache)
		return two(q, c, c.Width <= q.Width && c.N >= d.G,
			func(q, c Rows) Rows { return scores(q, c, d.H, d.G, sem, e.s.attention(k.Step, k.Layer)) })
	case tap.KQSoftMax:
		return one(e.at(tap.KQ), func(x Rows) Rows { return softMax(x, d.T, d.P, sem) })
	case tap.KQV:
		p, c := e.at(tap.KQSoftMax), e.at(tap.VCache)
		return two(p, c, p.Width*d.G <= c.N,
			func(p, c Rows) Rows { return weightedSum(p, c, d.H, d.G, sem, e.s.attention(k.Step, k.Layer)) })
	case tap.FFNInp:
		return alike(e.at(tap.AttnOut), e.in(layerInput(k.Step, k.Layer)), sum)
	case tap.FFNSwiglu:
		return alike(e.at(tap.FFNGate), e.at(tap.FFNUp), func(g, u Rows) Rows { return swiglu(g, u, sem) })
	case tap.LOut:
		return alike(e.at(tap.FFNOut), e.at(tap.FFNInp), sum)
	}
	e.err = fmt.Errorf("%s: no formula", k)
	return Rows{}
}

// noiseOf returns a copy of the noise, zeros for recorded values.
func noiseOf(r Rows) []float64 {
	n := make([]float64, len(r.V))
	copy(n, r.Noise)
	return n
}

// heads views rows of tokens as rows of heads.
func heads(x Rows, dim int) Rows {
	x.N, x.Width = len(x.V)/dim, dim
	return x
}
