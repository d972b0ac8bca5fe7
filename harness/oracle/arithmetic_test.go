package oracle

import (
	"math"
	"math/rand/v2"
	"testing"

	"attndiff/traces/half"
)

// TestNoiseBoundsCUDA holds products by matrices of each type against the
// arithmetic of ggml-cuda's kernels, done here in f32 with the same roundings.
// Terms are of either sign, then of one sign, where errors add up most.
func TestNoiseBoundsCUDA(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const tokens, in, out = 8, 896, 64
	for _, signs := range []string{"either sign", "one sign"} {
		x, w := random(r, tokens, in, 1), random(r, out, in, 0.03)
		if signs == "one sign" {
			for _, v := range [][]float64{x.V, w.V} {
				for i := range v {
					v[i] = math.Abs(v[i])
				}
			}
		}
		for _, test := range []struct {
			dtype string
			store func(float32) float32 // of the matrix in the file
			dot   func(x, w []float64) float64
			low   float64 // least share of the noise that the simulation must use
		}{
			{"F16", half.RoundF16, dotHalf, 1e-3},
			{"BF16", half.RoundBF16, dotBF16, 1e-2},
			{"F32", func(v float32) float32 { return v }, dotTF32, 1e-2},
		} {
			stored := Rows{N: out, Width: in, V: make([]float64, len(w.V))}
			for i, v := range w.V {
				stored.V[i] = float64(test.store(float32(v)))
			}
			p := product{in: in, out: out, xs: []Rows{x}, how: []multiply{GGMLCUDA.multiply(test.dtype, in)},
				cols: make([]float64, in), rows: make([]float64, out)}
			exact := make([]float64, tokens*out)
			p.measure(stored.V, 0, out)
			p.multiply(exact, x.V, stored.V, tokens, out)
			want := p.split(exact)[0]
			err, noise := 0.0, 0.0
			for i := range want.V {
				d := test.dot(x.Row(i/out), stored.Row(i%out)) - want.V[i]
				err, noise = err+d*d, noise+want.Noise[i]
			}
			if !(err <= Confidence*noise) || !(err >= test.low*noise) {
				t.Errorf("%s, %s: squared error is %.3g times the noise; want %g to %d", test.dtype, signs, err/noise, test.low, Confidence)
			}
		}
	}
}

// dotHalf is mul_mat_vec_f's sum in half2 (mmvf.cu): 224 threads of two lanes
// each, f16 within a lane and f32 across; and the longest chain of roundings
// that a tensor core's f16 sums can make, whichever is further off.
func dotHalf(x, w []float64) float64 {
	const lanes = 448
	var lane [lanes]float32
	chain, exact := float32(0), 0.0
	for i, v := range x {
		v := half.RoundF16(float32(v))
		exact += float64(v) * w[i]
		lane[i%lanes] = half.RoundF16(lane[i%lanes] + half.RoundF16(v*float32(w[i])))
		if i%halfSlab == halfSlab-1 {
			sum := float64(chain)
			for j := i + 1 - halfSlab; j <= i; j++ {
				sum += float64(half.RoundF16(float32(x[j]))) * w[j]
			}
			chain = half.RoundF16(float32(sum))
		}
	}
	var sum float32
	for _, v := range lane {
		sum += v
	}
	if math.Abs(float64(chain)-exact) > math.Abs(float64(sum)-exact) {
		return float64(chain)
	}
	return float64(sum)
}

// dotBF16 is cublasGemmEx on bf16 operands with f32 sums and a bf16 result.
func dotBF16(x, w []float64) float64 {
	var sum float32
	for i, v := range x {
		sum += half.RoundBF16(float32(v)) * float32(w[i])
	}
	return float64(half.RoundBF16(sum))
}

// dotTF32 is cublasSgemm with TF32 math: 10 digits of each operand.
func dotTF32(x, w []float64) float64 {
	cut := func(v float64) float32 { return math.Float32frombits(math.Float32bits(float32(v)) &^ 0x1fff) }
	var sum float32
	for i, v := range x {
		sum += cut(v) * cut(w[i])
	}
	return float64(sum)
}

// TestNoiseBoundsFastMath holds RoPE, softmax and SwiGLU against approximate
// functions that err by as much as CUDA's guide allows them to.
func TestNoiseBoundsFastMath(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	sem := Default(hp)
	sem.arith = GGMLCUDA
	off := func() float64 { return 2*r.Float64() - 1 }
	exp := func(x float64) float64 { return math.Exp(x) * (1 + off()*(2+1.16*math.Abs(x))*2*UnitF32) }

	g, u := random(r, 20, 40, 3), random(r, 20, 40, 3)
	glu := make([]float64, len(g.V))
	for i, v := range g.V {
		glu[i] = float64(float32(v / (1 + exp(-v)) * u.V[i]))
	}

	kq := random(r, 20*6, 20, 30)
	p := softMax(kq, 20, 0, sem)
	probs := make([]float64, len(p.V))
	for row := range kq.N {
		seen, peak, sum := row%20+1, math.Inf(-1), 0.0
		for _, v := range kq.Row(row)[:seen] {
			peak = max(peak, v*sem.ScoreScale)
		}
		for c, v := range kq.Row(row)[:seen] {
			probs[row*20+c] = exp(v*sem.ScoreScale - peak)
			sum += probs[row*20+c]
		}
		for c := range seen {
			probs[row*20+c] /= sum
		}
	}

	q := random(r, 20*6, 16, 4)
	pos := sem.positions(1000, 20)
	turned := make([]float64, len(q.V))
	for row := range q.N {
		for i := range 8 {
			power := math.Exp2(float64(i)*(math.Log2(sem.RopeBase)*-2/16+off()*4*UnitF32)) * (1 + off()*4*UnitF32)
			theta := float64(pos[row/6]) * power
			sin, cos := math.Sin(theta)+off()*11*UnitF32, math.Cos(theta)+off()*11*UnitF32
			a, b := q.Row(row)[i], q.Row(row)[i+8]
			turned[row*16+i], turned[row*16+i+8] = a*cos-b*sin, a*sin+b*cos
		}
	}

	for _, test := range []struct {
		name string
		want Rows
		got  []float64
	}{
		{"swiglu", swiglu(g, u, sem), glu}, {"softmax", p, probs}, {"rope", rope(q, 6, pos, sem), turned},
	} {
		err, noise := 0.0, 0.0
		for i, v := range test.want.V {
			err, noise = err+(test.got[i]-v)*(test.got[i]-v), noise+test.want.Noise[i]
		}
		if !(err <= Confidence*noise) || !(err >= 1e-3*noise) {
			t.Errorf("%s: squared error is %.3g times the noise; want 0.001 to %d", test.name, err/noise, Confidence)
		}
	}
}
