package oracle

import (
	"errors"

	"attndiff/traces/tap"
)

// ErrNotApplicable says that a variant cannot be meant for an op: what it would
// read does not exist (the layer before the first), or it needs recordings that
// are not there.
var ErrNotApplicable = errors.New("the variant does not apply here")

// Variant is one way to do ops wrong, as an experiment: what it leaves nil is
// done right. Variants are values, so that two of them compose ([Variant.And])
// and every op keeps its one formula.
type Variant struct {
	// Semantics changes what op of means.
	Semantics func(of tap.Key, s *Semantics)
	// Read names the recording that op of reads where in is meant. Returning a
	// key of a negative layer or step means there is none.
	Read func(of, in tap.Key) tap.Key
	// Tensor names the weight that is read where name is meant (GGUF names). A
	// matrix of another shape but as many elements is read as it lies, of one that
	// only has more rows the first ones.
	Tensor func(of tap.Key, name string) string
	// Feed is what becomes of an input on its way into op of. in is the input
	// that is meant, x a copy in that tap's shape, d the sizes of in's step.
	Feed func(of, in tap.Key, x Rows, d tap.Dims) Rows
	// Matrix is what the product takes for the row-major weight w [out,in].
	Matrix func(of tap.Key, w []float64, out, in int) []float64
	// Result is what becomes of the op's result. NaN marks an element that the
	// variant leaves undefined (never written): it makes no claim there.
	Result func(of tap.Key, y Rows, d tap.Dims, fetch Fetch) (Rows, error)
}

// none reports whether nothing is done wrong.
func (v Variant) none() bool {
	return v.Semantics == nil && v.Read == nil && v.Tensor == nil && v.Feed == nil && v.Matrix == nil && v.Result == nil
}

// Fetch returns a recording of the side that is being recomputed, recomputed
// itself where it is missing. A key outside the run is ErrNotApplicable.
type Fetch func(k tap.Key) (Rows, error)

// And returns the variant that makes both mistakes, v first.
func (v Variant) And(w Variant) Variant {
	both := Variant{
		Semantics: func(of tap.Key, s *Semantics) { v.change(of, s); w.change(of, s) },
		Read:      func(of, in tap.Key) tap.Key { return w.read(of, v.read(of, in)) },
		Tensor:    func(of tap.Key, name string) string { return w.tensor(of, v.tensor(of, name)) },
		Feed: func(of, in tap.Key, x Rows, d tap.Dims) Rows {
			return w.feed(of, in, v.feed(of, in, x, d), d)
		},
		Result: func(of tap.Key, y Rows, d tap.Dims, fetch Fetch) (Rows, error) {
			y, err := v.result(of, y, d, fetch)
			if err != nil {
				return Rows{}, err
			}
			return w.result(of, y, d, fetch)
		},
	}
	if v.Matrix != nil || w.Matrix != nil {
		both.Matrix = func(of tap.Key, m []float64, out, in int) []float64 {
			return w.matrix(of, v.matrix(of, m, out, in), out, in)
		}
	}
	return both
}

// At returns the variant that makes v's mistake at one tap and no other, for
// ops that are recomputed through several taps.
func (v Variant) At(t tap.Tap) Variant {
	right := Variant{}
	pick := func(of tap.Key) Variant {
		if of.Tap == t {
			return v
		}
		return right
	}
	only := Variant{
		Semantics: func(of tap.Key, s *Semantics) { pick(of).change(of, s) },
		Read:      func(of, in tap.Key) tap.Key { return pick(of).read(of, in) },
		Tensor:    func(of tap.Key, name string) string { return pick(of).tensor(of, name) },
		Feed: func(of, in tap.Key, x Rows, d tap.Dims) Rows {
			return pick(of).feed(of, in, x, d)
		},
		Result: func(of tap.Key, y Rows, d tap.Dims, fetch Fetch) (Rows, error) {
			return pick(of).result(of, y, d, fetch)
		},
	}
	if v.Matrix != nil {
		only.Matrix = func(of tap.Key, m []float64, out, in int) []float64 {
			return pick(of).matrix(of, m, out, in)
		}
	}
	return only
}

func (v Variant) change(of tap.Key, s *Semantics) {
	if v.Semantics != nil {
		v.Semantics(of, s)
	}
}

func (v Variant) read(of, in tap.Key) tap.Key {
	if v.Read == nil {
		return in
	}
	return v.Read(of, in)
}

func (v Variant) tensor(of tap.Key, name string) string {
	if v.Tensor == nil {
		return name
	}
	return v.Tensor(of, name)
}

func (v Variant) feed(of, in tap.Key, x Rows, d tap.Dims) Rows {
	if v.Feed == nil {
		return x
	}
	return v.Feed(of, in, x, d)
}

func (v Variant) matrix(of tap.Key, m []float64, out, in int) []float64 {
	if v.Matrix == nil {
		return m
	}
	return v.Matrix(of, m, out, in)
}

func (v Variant) result(of tap.Key, y Rows, d tap.Dims, fetch Fetch) (Rows, error) {
	if v.Result == nil {
		return y, nil
	}
	return v.Result(of, y, d, fetch)
}

// With returns an oracle that computes under the variant. Sides that were
// evaluated under another oracle hold its composed tensors: use fresh ones.
func (o *Oracle) With(v Variant) *Oracle {
	with := *o
	with.variant = v
	return &with
}

// semantics is what op k means under the variant.
func (o *Oracle) semantics(k tap.Key) Semantics {
	s := o.sem
	o.variant.change(k, &s)
	return s
}
