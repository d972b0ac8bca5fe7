package oracle

import (
	"fmt"

	"attndiff/traces/tap"
)

// eval recomputes one tap that is not a projection.
func (o *Oracle) eval(s *Side, k tap.Key) (derived, error) {
	dims := s.trace.Dims(k.Step)
	var got derived // collects what the inputs were
	var failed error
	in := func(key tap.Key) rows {
		if failed != nil {
			return rows{}
		}
		d, err := o.fetch(s, key)
		if err != nil {
			failed = err
			return rows{}
		}
		got.inputs = append(got.inputs, d.inputs...)
		got.composed = append(got.composed, d.composed...)
		return d.rows
	}
	at := func(t tap.Tap) rows { return in(tap.At(k.Step, k.Layer, t)) }
	vec := func(format string, args ...any) []float64 {
		v, err := o.vector(fmt.Sprintf(format, args...))
		if failed == nil && err == nil && v == nil {
			err = fmt.Errorf("model: tensor %s is missing", fmt.Sprintf(format, args...))
		}
		if failed == nil {
			failed = err
		}
		return v
	}
	apply := func(f func() rows) {
		if failed == nil {
			got.rows = f()
		}
	}
	switch k.Tap {
	case tap.InpEmbd:
		r, err := o.embed(s, k)
		got.rows, failed = r, err
	case tap.AttnNorm:
		x, w := in(layerInput(k.Step, k.Layer)), vec("blk.%d.attn_norm.weight", k.Layer)
		apply(func() rows { return rmsNorm(x, w, o.sem.RMSEps) })
	case tap.FFNNorm:
		x, w := at(tap.FFNInp), vec("blk.%d.ffn_norm.weight", k.Layer)
		apply(func() rows { return rmsNorm(x, w, o.sem.RMSEps) })
	case tap.ResultNorm:
		x, w := in(layerInput(k.Step, o.hp.NLayer)), vec("output_norm.weight")
		apply(func() rows { return rmsNorm(x, w, o.sem.RMSEps) })
	case tap.QBias, tap.KBias, tap.VBias:
		proj, name := k.Tap-1, map[tap.Tap]string{tap.QBias: "q", tap.KBias: "k", tap.VBias: "v"}[k.Tap]
		x, b := at(proj), vec("blk.%d.attn_%s.bias", k.Layer, name)
		apply(func() rows { return heads(addBias(flat(x, dims.T), b), dims.D) })
	case tap.QRope:
		x := in(o.biased(k, tap.QProj, tap.QBias, "attn_q"))
		apply(func() rows { return rope(x, dims.H, positions(dims.P, dims.T), o.sem) })
	case tap.KRope:
		x := in(o.biased(k, tap.KProj, tap.KBias, "attn_k"))
		apply(func() rows { return rope(x, dims.G, positions(dims.P, dims.T), o.sem) })
	case tap.KCache:
		o.cache(s, k, in, tap.At(k.Step, k.Layer, tap.KRope), apply)
	case tap.VCache:
		o.cache(s, k, in, o.biased(k, tap.VProj, tap.VBias, "attn_v"), apply)
	case tap.KQ:
		q, c := at(tap.QRope), at(tap.KCache)
		apply(func() rows { return scores(q, c, dims.H, dims.G, o.sem, s.attention(k.Step, k.Layer)) })
	case tap.KQSoftMax:
		x := at(tap.KQ)
		apply(func() rows { return softMax(x, dims.T, dims.P, o.sem) })
	case tap.KQV:
		p, c := at(tap.KQSoftMax), at(tap.VCache)
		apply(func() rows { return weightedSum(p, c, dims.H, dims.G, o.sem, s.attention(k.Step, k.Layer)) })
	case tap.FFNInp:
		a, b := at(tap.AttnOut), in(layerInput(k.Step, k.Layer))
		apply(func() rows { return add(a, b) })
	case tap.FFNSwiglu:
		g, u := at(tap.FFNGate), at(tap.FFNUp)
		apply(func() rows { return swiglu(g, u) })
	case tap.LOut:
		a, b := at(tap.FFNOut), at(tap.FFNInp)
		apply(func() rows { return add(a, b) })
	default:
		failed = fmt.Errorf("%s: no formula", k)
	}
	return got, failed
}

// heads views rows of tokens as rows of heads.
func heads(x rows, dim int) rows {
	x.n, x.width = len(x.v)/dim, dim
	return x
}

// embed looks the step's tokens up in token_embd.weight. Mirrors
// ggml_compute_forward_get_rows (ggml-cpu/ops.cpp). Floats are widened
// exactly; a quantised row is the rounded product of scale and integer.
func (o *Oracle) embed(s *Side, k tap.Key) (rows, error) {
	const name = "token_embd.weight"
	dims, meta := s.trace.Dims(k.Step), s.trace.Meta()
	y := newRows(dims.T, dims.E)
	exact := false
	switch o.weights.Type(name) {
	case "F32", "F16", "BF16":
		exact = true
	}
	for t, id := range meta.Tokens[dims.P : dims.P+dims.T] {
		w, err := o.weights.Rows(name, int(id), int(id)+1)
		if err != nil {
			return rows{}, err
		}
		for i, v := range w {
			y.v[t*dims.E+i] = float64(v)
			if !exact {
				y.noise[t*dims.E+i] = f32 * float64(v) * float64(v)
			}
		}
	}
	if exact {
		y.noise = nil
	}
	return y, nil
}

// cache is the whole cache after this step's write: the rows of the step
// before, unchanged, then the stored rounding of this step's.
func (o *Oracle) cache(s *Side, k tap.Key, in func(tap.Key) rows, fresh tap.Key, apply func(func() rows)) {
	dims := s.trace.Dims(k.Step)
	var old rows
	if dims.P > 0 {
		old = in(tap.At(k.Step-1, k.Layer, k.Tap))
	}
	x := in(fresh)
	apply(func() rows {
		y := store(x, s.kvType())
		if dims.P == 0 {
			return y
		}
		all := rows{n: old.n + y.n, width: y.width, v: append(old.v[:len(old.v):len(old.v)], y.v...)}
		if old.noise != nil || y.noise != nil {
			all.noise = append(noiseOf(old), noiseOf(y)...)
		}
		return all
	})
}

// noiseOf returns a copy of the noise, zeros for recorded values.
func noiseOf(r rows) []float64 {
	n := make([]float64, len(r.v))
	copy(n, r.noise)
	return n
}
