package oracle

import (
	"fmt"

	"attndiff/traces/tap"
)

// evaluation is one tap being recomputed. Errors stick: after the first, inputs
// come back empty and the result is not used.
type evaluation struct {
	o    *Oracle
	s    *Side
	k    tap.Key
	dims tap.Dims
	sem  Semantics
	got  derived
	err  error
}

// eval recomputes one tap that is not a projection.
func (o *Oracle) eval(s *Side, k tap.Key) (derived, error) {
	e := &evaluation{o: o, s: s, k: k, dims: s.trace.Dims(k.Step), sem: o.semantics(k)}
	e.sem.fastMath = s.arith.fastMath()
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
	e.got.Rows = y
	return e.got, nil
}

// in returns an input: what op k reads where key is meant.
func (e *evaluation) in(key tap.Key) Rows {
	read := e.o.variant.read(e.k, key)
	if read != key && read.Compare(e.k) >= 0 && !e.s.has(read) {
		e.err = ErrNotApplicable // a mistaken read of what this op itself is needed for
		return Rows{}
	}
	x := e.raw(read)
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
	d, err := e.o.fetch(e.s, key)
	if err != nil {
		e.err = err
		return Rows{}
	}
	e.got.inputs = append(e.got.inputs, d.inputs...)
	e.got.composed = append(e.got.composed, d.composed...)
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
	one := func(x Rows, f func(Rows) Rows) Rows {
		if e.err != nil {
			return Rows{}
		}
		return f(x)
	}
	two := func(x, y Rows, f func(x, y Rows) Rows) Rows {
		return one(x, func(x Rows) Rows { return f(x, y) })
	}
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
		return two(e.at(tap.QRope), e.at(tap.KCache),
			func(q, c Rows) Rows { return scores(q, c, d.H, d.G, sem, e.s.attention(k.Step, k.Layer)) })
	case tap.KQSoftMax:
		return one(e.at(tap.KQ), func(x Rows) Rows { return softMax(x, d.T, d.P, sem) })
	case tap.KQV:
		return two(e.at(tap.KQSoftMax), e.at(tap.VCache),
			func(p, c Rows) Rows { return weightedSum(p, c, d.H, d.G, sem, e.s.attention(k.Step, k.Layer)) })
	case tap.FFNInp:
		return two(e.at(tap.AttnOut), e.in(layerInput(k.Step, k.Layer)), add)
	case tap.FFNSwiglu:
		return two(e.at(tap.FFNGate), e.at(tap.FFNUp), func(g, u Rows) Rows { return swiglu(g, u, sem) })
	case tap.LOut:
		return two(e.at(tap.FFNOut), e.at(tap.FFNInp), add)
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
