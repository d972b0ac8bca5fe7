package oracle

import (
	"math"
	"testing"
)

// filled returns rows of one value.
func filled(n, width int, v float64) Rows {
	x := Rows{N: n, Width: width, V: make([]float64, n*width)}
	for i := range x.V {
		x.V[i] = v
	}
	return x
}

// What f32 cannot hold on the way is open; the same with smaller numbers is not.
func TestOpen(t *testing.T) {
	sem := Default(hp)
	w := filled(1, 96, 1).V
	product := func(x Rows) Rows {
		p := product{in: 96, out: 2, xs: []Rows{x}, how: []multiply{{operand: "F32"}}, cols: make([]float64, 96), rows: []float64{96, 0}}
		return p.split(make([]float64, 2*x.N))[0]
	}
	for _, c := range []struct {
		name        string
		fine, large float64
		op          func(v float64) Rows
		open        []bool // of the first elements
	}{
		{"rms_norm", 1e17, 1e19, func(v float64) Rows { return rmsNorm(filled(2, 96, v), w, sem) }, []bool{true, true}},
		{"product", 1e36, 1e38, func(v float64) Rows { return product(filled(1, 96, v)) }, []bool{true, false}}, // the second row is 0
		{"scores", 1e18, 1e20, func(v float64) Rows { return scores(filled(6, 16, v), filled(2, 16, v), 6, 2, sem, plain) }, []bool{true}},
		{"weighted_sum", 1e38, 3e38, func(v float64) Rows { return weightedSum(filled(6, 2, 1), filled(4, 16, v), 6, 2, sem, plain) }, []bool{true}},
		{"residual", 1e38, 3e38, func(v float64) Rows {
			y := add(filled(1, 4, v), filled(1, 4, v), sem)
			y.inRange(false)
			return y
		}, []bool{true}},
	} {
		for i, open := range c.open {
			if y := c.op(c.fine); Open(y.V[i], y.Noise[i]) || math.IsNaN(y.V[i]) {
				t.Errorf("%s of %g: element %d is %v, variance %v; f32 holds it", c.name, c.fine, i, y.V[i], y.Noise[i])
			}
			if y := c.op(c.large); Open(y.V[i], y.Noise[i]) != open || math.IsNaN(y.V[i]) != open {
				t.Errorf("%s of %g: element %d is %v, variance %v; want it open: %v", c.name, c.large, i, y.V[i], y.Noise[i], open)
			}
		}
	}
}

// NaN that comes of an open input is open, other NaN is owed.
func TestOpenSpreads(t *testing.T) {
	x := NewRows(1, 2)
	x.open(0, 1)
	y := add(x, filled(1, 2, 1), Default(hp))
	if !x.anyOpen() || filled(1, 2, 1).anyOpen() {
		t.Error("anyOpen does not tell")
	}
	y.inRange(true)
	if !Open(y.V[0], y.Noise[0]) || Open(y.V[1], y.Noise[1]) {
		t.Errorf("variances %v: want the first open", y.Noise)
	}
	nan := add(filled(1, 1, math.NaN()), filled(1, 1, 1), Default(hp))
	nan.inRange(false)
	if Open(nan.V[0], nan.Noise[0]) {
		t.Error("NaN of recorded inputs is open; ours must have it too")
	}
}
