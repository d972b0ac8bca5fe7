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
	// Semantics changes what the ops mean.
	Semantics func(*Semantics)
	// Read names the recording that op of reads where in is meant. Returning a
	// key of a negative layer or step means there is none.
	Read func(of, in tap.Key) tap.Key
	// Tensor names the weight that is read where name is meant (GGUF names).
	Tensor func(of tap.Key, name string) string
	// Feed is what becomes of an input on its way into op of. in is the input
	// that is meant, x a copy; heads and positions follow the tap's shape.
	Feed func(of, in tap.Key, x Rows, d tap.Dims) Rows
	// Matrix is what the product takes for the row-major weight w [out,in].
	Matrix func(of tap.Key, w []float64, out, in int) []float64
	// Formula replaces the op; fetch returns recordings of the same side.
	Formula func(of tap.Key, d tap.Dims, fetch func(tap.Key) (Rows, error)) (Rows, error)
	// Result is what becomes of the op's result. NaN marks an element that the
	// variant leaves undefined (never written): it makes no claim there.
	Result func(of tap.Key, y Rows, d tap.Dims) Rows
}

// And returns the variant that makes both mistakes, v first.
func (v Variant) And(w Variant) Variant {
	both := Variant{Formula: v.Formula}
	if w.Formula != nil {
		both.Formula = w.Formula
	}
	both.Semantics = func(s *Semantics) { v.change(s); w.change(s) }
	both.Read = func(of, in tap.Key) tap.Key { return w.read(of, v.read(of, in)) }
	both.Tensor = func(of tap.Key, name string) string { return w.tensor(of, v.tensor(of, name)) }
	both.Feed = func(of, in tap.Key, x Rows, d tap.Dims) Rows { return w.feed(of, in, v.feed(of, in, x, d), d) }
	both.Result = func(of tap.Key, y Rows, d tap.Dims) Rows { return w.result(of, v.result(of, y, d), d) }
	if v.Matrix != nil || w.Matrix != nil {
		both.Matrix = func(of tap.Key, m []float64, out, in int) []float64 {
			return w.matrix(of, v.matrix(of, m, out, in), out, in)
		}
	}
	return both
}

func (v Variant) change(s *Semantics) {
	if v.Semantics != nil {
		v.Semantics(s)
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

func (v Variant) result(of tap.Key, y Rows, d tap.Dims) Rows {
	if v.Result == nil {
		return y
	}
	return v.Result(of, y, d)
}

// With returns an oracle that computes under the variant. Sides that were
// evaluated under another oracle hold its composed tensors: use fresh ones.
func (o *Oracle) With(v Variant) *Oracle {
	sem := o.sem
	v.change(&sem)
	return &Oracle{weights: o.weights, hp: o.hp, sem: sem, variant: v, vectors: o.vectors}
}
