package oracle

import (
	"math"
	"math/rand/v2"
	"testing"

	"attndiff/traces/half"
	"attndiff/traces/trace"
)

// The ops are held against plain f32 loops, the arithmetic whose noise they
// derive: the loop's squared error must stay within Confidence times the noise
// and must not be negligible beside it, or the noise would hide real mistakes.

// hp is a small model of odd proportions.
var hp = trace.Hparams{NLayer: 2, NEmbd: 96, NHead: 6, NHeadKV: 2, HeadDim: 16, NFF: 40, NVocab: 50,
	RopeFreqBase: 1e6, RMSEps: 1e-6}

// plain is attention without narrowing.
var plain = attention{scores: multiply{operand: "F32"}, values: multiply{operand: "F32"}}

// random returns rows of normal values, rounded to f32 so that both sides read
// the same inputs.
func random(r *rand.Rand, n, width int, scale float64) Rows {
	x := Rows{N: n, Width: width, V: make([]float64, n*width)}
	for i := range x.V {
		x.V[i] = float64(float32(r.NormFloat64() * scale))
	}
	return x
}

func TestNoiseBoundsF32(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sem := Default(hp)
	w := random(r, 1, 96, 1)
	b := random(r, 1, 96, 1)
	x, x2 := random(r, 20, 96, 3), random(r, 20, 96, 3)
	q := random(r, 20*6, 16, 4)
	k, v := random(r, 20*2, 16, 4), random(r, 20*2, 16, 1)
	kq := scores(q, k, 6, 2, sem, plain)
	recordedKQ := Rows{N: kq.N, Width: kq.Width, V: toF32(kq.V)}
	p := softMax(recordedKQ, 20, 0, sem)
	recordedP := Rows{N: p.N, Width: p.Width, V: toF32(p.V)}
	pos := sem.positions(0, 20)

	even, steady := evenly(200), NewRows(200*2, 16) // one token on top of 199, values that hardly change
	for i := range steady.V {
		steady.V[i] = float64(float32(70 + 1e-3*r.NormFloat64()))
	}

	cases := []struct {
		name string
		want Rows
		got  []float64
		low  float64 // least share of the noise that sequential f32 must use
	}{
		{"rms_norm", rmsNorm(x, w.V, sem), f32RMSNorm(x, w.V, 1e-6), 1e-3},
		{"bias", addBias(x, b.V, sem), f32Map2(x.V, repeat(b.V, 20), func(a, b float32) float32 { return a + b }), 0.1},
		{"residual", add(x, x2, sem), f32Map2(x.V, x2.V, func(a, b float32) float32 { return a + b }), 0.1},
		{"swiglu", swiglu(x, x2, sem), f32Map2(x.V, x2.V, func(a, b float32) float32 {
			return a / (1 + float32(math.Exp(float64(-a)))) * b
		}), 1e-3},
		{"rope", rope(q, 6, pos, sem), f32Rope(q, 6, pos), 1e-3},
		{"kq", kq, f32Scores(q, k, 6, 2), 1e-3},
		{"kq_soft_max", p, f32SoftMax(recordedKQ, 20, 0, float32(sem.ScoreScale)), 1e-3},
		{"kqv", weightedSum(recordedP, v, 6, 2, sem, plain), f32WeightedSum(recordedP, v, 6, 2), 1e-3},
		{"kqv of one sign", weightedSum(even, steady, 6, 2, sem, plain), f32WeightedSum(even, steady, 6, 2), 1e-3},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err, noise := 0.0, 0.0
			for i, y := range c.want.V {
				d := c.got[i] - y
				err += d * d
				noise += c.want.Noise[i]
			}
			if share := err / noise; !(share <= Confidence) || !(share >= c.low) {
				t.Errorf("f32 error is %.3g of the derived noise, want within [%g, %d]", share, c.low, Confidence)
			}
		})
	}
}

// evenly returns one row of equal probabilities per head.
func evenly(n int) Rows {
	p := Rows{N: 6, Width: n, V: make([]float64, 6*n)}
	for i := range p.V {
		p.V[i] = float64(1 / float32(n))
	}
	return p
}

// TestOperandNoise holds the narrowing variances against real narrowing.
func TestOperandNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x := random(r, 1, 32*400, 2).V
	narrow := map[string]func(float32) float32{"F16": half.RoundF16, "BF16": half.RoundBF16}
	for operand, f := range narrow {
		t.Run(operand, func(t *testing.T) {
			ratioWithin(t, x, operand, func(i int) float64 { return float64(f(float32(x[i]))) })
		})
	}
	for weight, block := range map[string]int{"Q8_0": 32, "Q4_K": 256} {
		t.Run(weight, func(t *testing.T) {
			ratioWithin(t, x, weight, func(i int) float64 {
				amax := 0.0
				for _, v := range x[i/block*block : i/block*block+block] {
					amax = math.Max(amax, math.Abs(v))
				}
				return math.Round(x[i]*127/amax) * float64(half.RoundF16(float32(amax/127)))
			})
		})
	}
}

func ratioWithin(t *testing.T, x []float64, operand string, narrowed func(int) float64) {
	t.Helper()
	noise := make([]float64, len(x))
	operandNoise(noise, x, operand)
	err, sum := 0.0, 0.0
	for i := range x {
		d := narrowed(i) - x[i]
		err += d * d
		sum += noise[i]
	}
	if share := err / sum; !(share > 0.7 && share < 1.4) {
		t.Errorf("narrowing to %s errs by %.3g of the derived variance, want about 1", operand, share)
	}
}

// TestVariantsExceedNoise: each classic misunderstanding must stand far
// outside the noise of the right op.
func TestVariantsExceedNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	sem := Default(hp)
	q, k := random(r, 20*6, 16, 4), random(r, 20*2, 16, 4)
	right := rope(q, 6, sem.positions(3, 20), sem)
	base := sem
	cases := map[string]func(*Semantics){
		"interleaved": func(s *Semantics) { s.Pairing = Interleaved },
		"base 1e4":    func(s *Semantics) { s.RopeBase = 1e4 },
		"sign":        func(s *Semantics) { s.RopeTurns = -1 },
		"offset":      func(s *Semantics) { s.Position = func(past, t, _ int) int { return past + t + 1 } },
		"half dims":   func(s *Semantics) { s.RopeDims = hp.HeadDim / 2 },
	}
	for name, change := range cases {
		s := base
		change(&s)
		if e, n := distance(rope(q, 6, s.positions(3, 20), s), right); !(e > 1e6*n) {
			t.Errorf("rope %s: squared error %.3g is within reach of the noise %.3g", name, e, n)
		}
	}
	modulo := sem
	modulo.KVHead = func(h, _, g int) int { return h % g }
	if e, n := distance(scores(q, k, 6, 2, modulo, plain), scores(q, k, 6, 2, sem, plain)); !(e > 1e6*n) {
		t.Errorf("kq with modulo heads: squared error %.3g is within reach of the noise %.3g", e, n)
	}
}

func distance(a, b Rows) (err, noise float64) {
	for i := range a.V {
		d := a.V[i] - b.V[i]
		err += d * d
		noise += b.Noise[i]
	}
	return err, noise
}

// TestRopeKeepsNormAndOrigin: a rotation preserves each head's length, and
// position 0 is the identity.
func TestRopeKeepsNormAndOrigin(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	q := random(r, 8*6, 16, 1)
	sem := Default(hp)
	y := rope(q, 6, sem.positions(0, 8), sem)
	for i := range q.N {
		a, b := 0.0, 0.0
		for d := range q.Width {
			a += q.Row(i)[d] * q.Row(i)[d]
			b += y.Row(i)[d] * y.Row(i)[d]
			if i < 6 && y.Row(i)[d] != q.Row(i)[d] {
				t.Fatalf("position 0, head %d, dim %d: %g became %g", i, d, q.Row(i)[d], y.Row(i)[d])
			}
		}
		if !(math.Abs(a-b) <= 1e-12*a) {
			t.Errorf("row %d: squared norm %g became %g", i, a, b)
		}
	}
}

// A masked column's probability is 0, and 0 times a value that is NaN already
// is NaN in a kernel that multiplies all columns: nothing to hold against it.
func TestMaskedColumnOfNaN(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	p := NewRows(1, 2)
	p.V[0] = 1
	v := random(r, 2, 16, 1)
	sem := Default(hp)
	if y := weightedSum(p, v, 1, 1, sem, plain); !(y.V[3] == v.V[3]) {
		t.Errorf("the visible value is %v, the sum %v", v.V[3], y.V[3])
	}
	v.V[16] = math.NaN()
	y := weightedSum(p, v, 1, 1, sem, plain)
	if !math.IsNaN(y.V[0]) {
		t.Errorf("0 * NaN adds up to %v, want no claim", y.V[0])
	}
}

// TestSoftMaxOfInfinities: where no visible score is above -Inf the formula
// takes -Inf from -Inf; one score above it leaves the others nothing.
func TestSoftMaxOfInfinities(t *testing.T) {
	low := math.Inf(-1)
	for _, c := range []struct{ scores, want []float64 }{
		{[]float64{low, low, 5}, []float64{math.NaN(), math.NaN(), 0}},
		{[]float64{low, 1, 5}, []float64{0, 1, 0}},
		{[]float64{math.Inf(1), 1, 5}, []float64{math.NaN(), math.NaN(), 0}},
	} {
		y := softMax(Rows{N: 1, Width: 3, V: c.scores}, 1, 1, Default(hp))
		for i, want := range c.want {
			if got := y.V[i]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Errorf("%v: %v, want %v", c.scores, y.V, c.want)
				break
			}
		}
	}
	// Without the maximum one exponential overflows, and the others are nothing
	// beside an infinite sum.
	s := Default(hp)
	s.Peak, s.Exp = func(_, _ float64) float64 { return 0 }, func(x float64) float64 { return float64(float32(math.Exp(x))) }
	y := softMax(Rows{N: 1, Width: 3, V: []float64{400, 8, 4}}, 1, 2, s)
	if !math.IsNaN(y.V[0]) || y.V[1] != 0 || y.V[2] != 0 || !(y.Noise[1] < 1e-60) || !(y.Noise[2] < 1e-60) {
		t.Errorf("%v with noise %v, want NaN and zeros that are certain", y.V, y.Noise)
	}
}
