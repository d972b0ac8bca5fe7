package diagnose

import (
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// The helpers below say mistakes in the terms of the op: another input, the
// input in another order, the result in another place.

// semantic is a mistake in what the op means.
func semantic(change func(*oracle.Semantics)) oracle.Variant {
	return oracle.Variant{Semantics: func(_ tap.Key, s *oracle.Semantics) { change(s) }}
}

// reads is a mistake in which recording the op reads: another for every input.
func reads(other func(of, in tap.Key) tap.Key) oracle.Variant {
	return oracle.Variant{Read: other}
}

// readsFor replaces the one input that is a recording of tap meant.
func readsFor(meant tap.Tap, other func(of, in tap.Key) tap.Key) oracle.Variant {
	return oracle.Variant{Read: func(of, in tap.Key) tap.Key {
		if in.Tap != meant {
			return in
		}
		return other(of, in)
	}}
}

// tapOf is the recording of t in the op's own layer and step.
func tapOf(t tap.Tap) func(of, in tap.Key) tap.Key {
	return func(of, _ tap.Key) tap.Key { return tap.At(of.Step, of.Layer, t) }
}

// layersBack is the input of n layers before; negative n is after.
func layersBack(n int) func(of, in tap.Key) tap.Key {
	return func(_, in tap.Key) tap.Key { return tap.At(in.Step, layerOrNone(in.Layer-n), in.Tap) }
}

// layerOrNone keeps a layer before the first apart from tap.NoLayer.
func layerOrNone(l int) int {
	if l < 0 {
		return tap.NoLayer - 1
	}
	return l
}

// stream is the residual stream that enters a layer.
func stream(step, layer int) tap.Key {
	if layer == 0 {
		return tap.At(step, tap.NoLayer, tap.InpEmbd)
	}
	return tap.At(step, layerOrNone(layer-1), tap.LOut)
}

// streamOf is the residual stream that enters the op's layer.
func streamOf(of, _ tap.Key) tap.Key { return stream(of.Step, of.Layer) }

// feeds is a mistake in how the op reads an input: x is what is read for tap
// meant.
func feeds(meant tap.Tap, f func(x oracle.Rows, d tap.Dims) oracle.Rows) oracle.Variant {
	return oracle.Variant{Feed: func(_, in tap.Key, x oracle.Rows, d tap.Dims) oracle.Rows {
		if in.Tap != meant {
			return x
		}
		return f(x, d)
	}}
}

// feedsAll is feeds for an op of one input, whatever tap that is.
func feedsAll(f func(x oracle.Rows, d tap.Dims) oracle.Rows) oracle.Variant {
	return oracle.Variant{Feed: func(_, _ tap.Key, x oracle.Rows, d tap.Dims) oracle.Rows { return f(x, d) }}
}

// yields is a mistake in what becomes of the result.
func yields(f func(y oracle.Rows, d tap.Dims) oracle.Rows) oracle.Variant {
	return oracle.Variant{Result: func(_ tap.Key, y oracle.Rows, d tap.Dims, _ oracle.Fetch) (oracle.Rows, error) {
		return f(y, d), nil
	}}
}

// holds is a result that is another recording, read as it lies: elements that
// it does not have are undefined. A recording does not explain itself.
func holds(other func(of tap.Key) tap.Key) oracle.Variant {
	return oracle.Variant{Result: func(of tap.Key, y oracle.Rows, _ tap.Dims, fetch oracle.Fetch) (oracle.Rows, error) {
		k := other(of)
		if k == of {
			return oracle.Rows{}, oracle.ErrNotApplicable
		}
		x, err := fetch(k)
		if err != nil {
			return oracle.Rows{}, err
		}
		flat := oracle.NewRows(y.N, y.Width)
		for i := range flat.V {
			flat.V[i] = math.NaN()
		}
		copy(flat.V, x.V)
		copy(flat.Noise, x.Noise)
		return flat, nil
	}}
}

// adds is a result to which another recording is added, read as it lies.
func adds(other func(of tap.Key) tap.Key) oracle.Variant {
	held := holds(other)
	return oracle.Variant{Result: func(of tap.Key, y oracle.Rows, d tap.Dims, fetch oracle.Fetch) (oracle.Rows, error) {
		x, err := held.Result(of, y, d, fetch)
		if err != nil {
			return oracle.Rows{}, err
		}
		return mapped(y, func(i int, v float64) float64 { return v + x.V[i] }), nil
	}}
}

// permuted is y[i] = x[from(i)]; a place outside x is undefined.
func permuted(x oracle.Rows, from func(i int) int) oracle.Rows {
	y := oracle.Rows{N: x.N, Width: x.Width, V: make([]float64, len(x.V))}
	if x.Noise != nil {
		y.Noise = make([]float64, len(x.V))
	}
	for i := range y.V {
		j := from(i)
		if j < 0 || j >= len(x.V) {
			y.V[i] = math.NaN()
			continue
		}
		y.V[i] = x.V[j]
		if y.Noise != nil {
			y.Noise[i] = x.Noise[j]
		}
	}
	return y
}

// scattered is y[to(i)] = x[i], later i last; places that nothing is written
// to are undefined.
func scattered(x oracle.Rows, to func(i int) int) oracle.Rows {
	from := make([]int, len(x.V))
	for i := range from {
		from[i] = -1
	}
	for i := range x.V {
		if j := to(i); j >= 0 && j < len(from) {
			from[j] = i
		}
	}
	return permuted(x, func(i int) int { return from[i] })
}

// mapped is y[i] = f(i, x[i]), with x's noise.
func mapped(x oracle.Rows, f func(i int, v float64) float64) oracle.Rows {
	y := oracle.Rows{N: x.N, Width: x.Width, V: make([]float64, len(x.V)), Noise: x.Noise}
	for i, v := range x.V {
		y.V[i] = f(i, v)
	}
	return y
}

// noisier is x with noise added: relative is the variance of a value relative to
// its square.
func noisier(x oracle.Rows, relative float64) oracle.Rows {
	y := oracle.Rows{N: x.N, Width: x.Width, V: x.V, Noise: make([]float64, len(x.V))}
	for i, v := range x.V {
		y.Noise[i] = relative * v * v
		if x.Noise != nil {
			y.Noise[i] += x.Noise[i]
		}
	}
	return y
}

// f32 is the variance of one f32 rounding relative to the squared value.
var f32 = oracle.RoundingNMSE(oracle.UnitF32)

// approximate is a hypothesis with the noise of a power: a base rounded to f32
// and raised to the n-th errs by n roundings.
func approximate(h Hypothesis, n int) Hypothesis {
	h.Variant.Result = func(_ tap.Key, y oracle.Rows, _ tap.Dims, _ oracle.Fetch) (oracle.Rows, error) {
		return noisier(y, float64(n*n)*f32), nil
	}
	return h
}

// multiplied is x times a factor, noise with it.
func multiplied(x oracle.Rows, factor float64) oracle.Rows {
	y := mapped(x, func(_ int, v float64) float64 { return factor * v })
	if x.Noise != nil {
		y.Noise = make([]float64, len(x.Noise))
		for i, n := range x.Noise {
			y.Noise[i] = factor * factor * n
		}
	}
	return y
}

// undefinedWhere leaves elements undefined.
func undefinedWhere(x oracle.Rows, hit func(i int) bool) oracle.Rows {
	return mapped(x, func(i int, v float64) float64 {
		if hit(i) {
			return math.NaN()
		}
		return v
	})
}

// zeroWhere sets elements to 0.
func zeroWhere(x oracle.Rows, hit func(i int) bool) oracle.Rows {
	return mapped(x, func(i int, v float64) float64 {
		if hit(i) {
			return 0
		}
		return v
	})
}
