package diagnose

import (
	"math"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// A hedge is held to what it leaves open: a right value there now and then is
// luck, more are not; and older rows of a cache are not this step's.
func TestCompareUndefined(t *testing.T) {
	const n = 64
	undefined := oracle.Value{Shape: []int{1, n}, Data: make([]float64, n), Noise: make([]float64, n)}
	for i := range undefined.Data {
		undefined.Data[i] = math.NaN()
	}
	for _, tt := range []struct {
		name         string
		right, older int // how many of ours are right, from the first on; how many are older
		within       bool
	}{
		{"none right", 0, 0, true}, {"one by luck", 1, 0, true}, {"many right", 8, 0, false}, {"all right", n, 0, false}, {"the right ones are older", 32, 32, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			right := oracle.Value{Shape: undefined.Shape, Data: make([]float64, n), Noise: make([]float64, n)}
			got := make([]float64, n)
			for i := range got {
				right.Data[i], got[i] = float64(i+1), -float64(i+1)
				if i < tt.right {
					got[i] = right.Data[i]
				}
			}
			c, ok := compare(recording{key: tap.At(0, 0, tap.KCache), got: got, dtype: trace.F32, right: right, older: tt.older}, undefined)
			if !ok || c.within != tt.within || c.claims != 0 {
				t.Errorf("ok %v, within %v, %d claims; want within %v and no claims", ok, c.within, c.claims, tt.within)
			}
		})
	}
}

// A variant whose own noise covers everything explains nothing.
func TestCompareBlur(t *testing.T) {
	want := oracle.Value{Shape: []int{1, 4}, Data: []float64{1, 2, 3, 4}, Noise: []float64{1e3, 1e3, 1e3, 1e3}}
	if c, _ := compare(recording{got: []float64{-4, 3, -2, 1}, dtype: trace.F32, right: want}, want); c.within {
		t.Error("numbers that have nothing to do with the variant's are within its noise")
	}
}

// The rows of V that nobody knows are solved for, and only where enough sums
// share one.
func TestUnknownRows(t *testing.T) {
	d := tap.Dims{T: 3, P: 0, H: 6, G: 2, D: 4}
	w := newLab()
	w.hp.NHead, w.hp.NHeadKV, w.hp.HeadDim = d.H, d.G, d.D
	p := oracle.Rows{N: d.H * d.T, Width: d.C(), V: w.random("p", d.H*d.T*d.C(), 1)}
	v := oracle.Rows{N: d.C() * d.G, Width: d.D, V: w.random("v", d.C()*d.G*d.D, 0)}
	unknown := w.random("unknown", d.G*d.D, 5)
	sum := func(last bool) oracle.Rows { // with or without the last position, which is another row in ours
		y := oracle.NewRows(d.T*d.H, d.D)
		for i := range y.V {
			t, h, dim := i/d.D/d.H, i/d.D%d.H, i%d.D
			g := h / (d.H / d.G)
			for c := range d.C() {
				x := v.V[(c*d.G+g)*d.D+dim]
				if c == d.C()-1 {
					if !last {
						continue
					}
					x = unknown[g*d.D+dim]
				}
				y.V[i] += p.V[(h*d.T+t)*d.C()+c] * x
			}
		}
		return y
	}
	got, out := sum(true), sum(false)
	for g := range d.G {
		weigh(out, got, p, v, d, g, []int{d.C() - 1})
	}
	for i, x := range out.V {
		if !(math.Abs(x-got.V[i]) <= 1e-9*math.Abs(got.V[i])) {
			t.Fatalf("element %d: %g, want %g", i, x, got.V[i])
		}
	}
	got.V[5] += 1 // no row explains it
	out = sum(false)
	weigh(out, got, p, v, d, 0, []int{d.C() - 1})
	if math.Abs(out.V[5]-got.V[5]) < 0.1 {
		t.Error("a number that no row of V explains is explained")
	}
	out = sum(false)
	weigh(out, got, p, v, d, 0, []int{0, 1, 2})
	if !math.IsNaN(out.V[0]) {
		t.Errorf("three unknown rows in %d sums are called known", d.T*d.H/d.G)
	}
}
