package oracle

import "math"

// embed looks the step's tokens up in token_embd.weight. Mirrors
// ggml_compute_forward_get_rows (ggml-cpu/ops.cpp). Floats are widened
// exactly; a quantised row is the rounded product of scale and integer. A
// token or an element that there is not leaves its place undefined.
func (e *evaluation) embed() Rows {
	d := e.dims
	table := table{weights: e.o.weights, name: e.o.variant.tensor(e.k, "token_embd.weight")}
	shape, ok := table.weights.Shape(table.name)
	if !ok || len(shape) != 2 || shape[1] != d.E {
		e.err = ErrNotApplicable
		return Rows{}
	}
	y := NewRows(d.T, d.E)
	exact := table.exact() && e.sem.EmbdScale == 1
	tokens := e.s.trace.Meta().Tokens
	for t := range d.T {
		at := d.P + t
		if e.sem.Token != nil {
			at = e.sem.Token(d.P, t, d.T)
		}
		for i := range d.E {
			v := math.NaN()
			if at >= 0 && at < len(tokens) {
				v = e.sem.EmbdScale * table.element(e.sem.lookup(int(tokens[at]), i, shape))
			}
			y.V[t*d.E+i] = v
			if !exact {
				y.Noise[t*d.E+i] = f32 * v * v
			}
		}
	}
	if table.err != nil {
		e.err = table.err
	}
	if exact {
		y.Noise = nil
	}
	return y
}

// lookup is the flat index of element e of a token's row.
func (s Semantics) lookup(id, e int, shape []int) int {
	if s.Lookup == nil {
		return id*shape[1] + e
	}
	return s.Lookup(id, e, shape[0], shape[1])
}

// table reads single elements of a matrix; it holds the row it read last.
type table struct {
	weights Weights
	name    string
	row     int
	held    []float32
	err     error
}

// exact reports whether widening an element leaves no rounding.
func (t *table) exact() bool {
	switch t.weights.Type(t.name) {
	case "F32", "F16", "BF16":
		return true
	}
	return false
}

// element returns the value at a flat index, NaN outside the table.
func (t *table) element(i int) float64 {
	shape, _ := t.weights.Shape(t.name)
	row := i / shape[1]
	if i < 0 || row >= shape[0] || t.err != nil {
		return math.NaN()
	}
	if t.held == nil || row != t.row {
		if t.held, t.err = t.weights.Rows(t.name, row, row+1); t.err != nil {
			return math.NaN()
		}
		t.row = row
	}
	return float64(t.held[i%shape[1]])
}
