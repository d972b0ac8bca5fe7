package oracle

import "math"

// rmsNorm is y = x / sqrt(mean(x^2) + eps) * w over each row of width E.
// Mirrors ggml_compute_forward_rms_norm_f32 (ggml-cpu/ops.cpp) followed by the
// MUL of llm_graph_context::build_norm (llama-graph.cpp).
// Noise: the row's factor carries half the relative error of the sum of E
// squares; each element three roundings more, with the weight's own.
func rmsNorm(x Rows, w []float64, s Semantics) Rows {
	y := x.like()
	for r := range x.N {
		in, out := x.Row(r), y.Row(r)
		factor := s.rowFactors(x, r)
		for i, v := range in {
			mean, f := factor(i)
			gain := f
			if !s.NormBare {
				gain *= s.NormOffset + w[i]
			}
			out[i] = (v - mean) * gain
			at := r*x.Width + i
			y.Noise[at] = out[i]*out[i]*(sumNoise(x.Width)/4+4*s.arith.keeping()) + gain*gain*x.noiseAt(at)
		}
		if overflows(squares(in)) {
			y.open(r*x.Width, (r+1)*x.Width)
		}
	}
	return y
}

// rowFactors returns what each element of row r is centred by (0 for RMSNorm)
// and scaled by. A row that does not exist leaves it undefined.
func (s Semantics) rowFactors(x Rows, r int) func(e int) (mean, factor float64) {
	if s.NormRow != nil {
		r = s.NormRow(r)
	}
	if r < 0 || r >= x.N {
		return func(int) (float64, float64) { return 0, math.NaN() }
	}
	if s.NormGroup == nil {
		mean, f := s.rowFactor(x.Row(r), 0)
		return func(int) (float64, float64) { return mean, f }
	}
	type moments struct{ mean, factor float64 }
	groups := map[int]moments{}
	return func(e int) (float64, float64) {
		g := s.NormGroup(e)
		m, ok := groups[g]
		if !ok {
			m.mean, m.factor = s.rowFactor(x.Row(r), g)
			groups[g] = m
		}
		return m.mean, m.factor
	}
}

// rowFactor is what a row's elements of one group are centred and scaled by.
func (s Semantics) rowFactor(row []float64, group int) (mean, factor float64) {
	n := float64(len(row))
	if s.NormWidth > 0 {
		n = float64(s.NormWidth)
	}
	if s.NormCenters {
		for _, v := range row {
			mean += v / n
		}
	}
	if s.NormDivisor != nil {
		return mean, 1 / s.NormDivisor(row, s.RMSEps)
	}
	sum := 0.0
	for e, v := range row {
		if s.NormTerm == nil || s.NormTerm(group, e) {
			sum += (v - mean) * (v - mean)
		}
	}
	switch {
	case s.NormNoRoot:
		return mean, 1 / (sum/n + s.RMSEps)
	case s.EpsOutside:
		return mean, 1 / (math.Sqrt(sum/n) + s.RMSEps)
	}
	return mean, 1 / math.Sqrt(sum/n+s.RMSEps)
}

// addBias is y = x + b, b of one row's width. Mirrors the ggml_add of bq, bk
// and bv in llm_build_qwen2. An element that the bias does not have is
// undefined.
func addBias(x Rows, b []float64, s Semantics) Rows {
	y := x.like()
	for r := range x.N {
		in, out := x.Row(r), y.Row(r)
		scale := s.BiasScale
		if s.BiasRow != nil && !s.BiasRow(r) {
			scale = 0
		}
		for i, v := range in {
			j := i
			if s.BiasIndex != nil {
				j = s.BiasIndex(i)
			}
			switch {
			case scale == 0:
				out[i] = v
			case j < 0 || j >= len(b):
				out[i] = math.NaN()
			default:
				out[i] = v + scale*b[j]
			}
			at := r*x.Width + i
			y.Noise[at] = s.arith.keeping()*out[i]*out[i] + x.noiseAt(at)
			if narrow := s.arith.narrowing(); narrow > 0 && j >= 0 && j < len(b) {
				y.Noise[at] += narrow * b[j] * b[j]
			}
		}
	}
	return y
}

// add is y = a + b, the residual connection (ggml_add of ffn_inp and l_out in
// llm_build_qwen2).
func add(a, b Rows, s Semantics) Rows {
	y := a.like()
	for i := range y.V {
		y.V[i] = a.V[i] + b.V[i]
		y.Noise[i] = s.arith.keeping()*y.V[i]*y.V[i] + a.noiseAt(i) + b.noiseAt(i)
	}
	return y
}

// swiglu is y = act(g) * u, act being silu(g) = g / (1 + exp(-g)). Mirrors
// ggml_vec_swiglu_f32 (ggml-cpu/vec.cpp).
// Noise: exp turns the rounding of its argument into |g| roundings, damped by
// 1-sigmoid(g) in the quotient; its vectorised polynomial is good to two units
// in the last place; three roundings follow. Approximate exponentials have more.
func swiglu(g, u Rows, s Semantics) Rows {
	y := g.like()
	for i := range y.V {
		gv, uv := g.V[i], u.V[i]
		sig := 1 / (1 + math.Exp(-gv))
		act := s.Activation(gv)
		y.V[i] = act * uv
		rel := (1 - sig) * (1 - sig) * (gv*gv + 16)
		slope := sig * (1 + gv*(1-sig)) * uv
		y.Noise[i] = y.V[i]*y.V[i]*s.rounding()*(4+rel) + slope*slope*g.noiseAt(i) + act*act*u.noiseAt(i)
	}
	return y
}

// Rope rotates the heads of rows as the model does where the semantics say
// nothing else; pos holds one position per token.
func Rope(x Rows, heads int, pos []int, s Semantics) Rows { return rope(x, heads, pos, s) }

// rope rotates each head's pairs (a, b) by theta = pos * base^(-2i/dims):
//
//	a' = a cos(theta) - b sin(theta)
//	b' = a sin(theta) + b cos(theta)
//
// x is [T*heads, D], position of row r is pos[r/heads]. Mirrors
// ggml_rope_cache_init and ggml_compute_forward_rope_flt (ggml-cpu/ops.cpp).
// Noise: an error of theta turns a' along b' and b' along a' (turning).
func rope(x Rows, heads int, pos []int, s Semantics) Rows {
	y := x.like()
	half := s.RopeDims / 2
	for r := range x.N {
		in, out, noise := x.Row(r), y.Row(r), y.Noise[r*x.Width:(r+1)*x.Width]
		for i, v := range in {
			out[i], noise[i] = v, x.noiseAt(r*x.Width+i)
		}
		for i := range half {
			ia, ib := i, i+half
			if s.Pairing == Interleaved {
				ia, ib = 2*i, 2*i+1
			}
			theta := s.RopeTurns * s.Theta(pos[r/heads], r%heads, i)
			sin, cos := math.Sincos(theta)
			a, b := in[ia], in[ib]
			na, nb := noise[ia], noise[ib]
			out[ia], out[ib] = a*cos-b*sin, a*sin+b*cos
			if s.Rotate != nil {
				out[ia], out[ib] = s.Rotate(a, b, sin, cos)
			}
			turn := s.turning(theta, i)
			terms := 2 * s.arith.keeping() * (a*a + b*b)
			noise[ia] = turn*out[ib]*out[ib] + terms + cos*cos*na + sin*sin*nb
			noise[ib] = turn*out[ia]*out[ia] + terms + sin*sin*na + cos*cos*nb
		}
	}
	return y
}
