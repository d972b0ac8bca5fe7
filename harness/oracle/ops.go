package oracle

import "math"

// rmsNorm is y = x / sqrt(mean(x^2) + eps) * w over each row of width E.
// Mirrors ggml_compute_forward_rms_norm_f32 (ggml-cpu/ops.cpp) followed by the
// MUL of llm_graph_context::build_norm (llama-graph.cpp).
// Noise: the row's factor carries half the relative error of the sum of E
// squares; each element two roundings more.
func rmsNorm(x rows, w []float64, eps float64) rows {
	y := x.like()
	for r := range x.n {
		in, out := x.row(r), y.row(r)
		sum := 0.0
		for _, v := range in {
			sum += v * v
		}
		f := 1 / math.Sqrt(sum/float64(x.width)+eps)
		for i, v := range in {
			out[i] = v * f * w[i]
			gain := f * w[i]
			at := r*x.width + i
			y.noise[at] = out[i]*out[i]*(sumNoise(x.width)/4+4*f32) + gain*gain*x.noiseAt(at)
		}
	}
	return y
}

// addBias is y = x + b, b of one row's width. Mirrors the ggml_add of bq, bk
// and bv in llm_build_qwen2.
func addBias(x rows, b []float64) rows {
	y := x.like()
	for r := range x.n {
		in, out := x.row(r), y.row(r)
		for i, v := range in {
			out[i] = v + b[i]
			at := r*x.width + i
			y.noise[at] = f32*out[i]*out[i] + x.noiseAt(at)
		}
	}
	return y
}

// add is y = a + b, the residual connection (ggml_add of ffn_inp and l_out in
// llm_build_qwen2).
func add(a, b rows) rows {
	y := a.like()
	for i := range y.v {
		y.v[i] = a.v[i] + b.v[i]
		y.noise[i] = f32*y.v[i]*y.v[i] + a.noiseAt(i) + b.noiseAt(i)
	}
	return y
}

// swiglu is y = silu(g) * u with silu(g) = g / (1 + exp(-g)). Mirrors
// ggml_vec_swiglu_f32 (ggml-cpu/vec.cpp).
// Noise: exp turns the rounding of its argument into |g| roundings, damped by
// 1-sigmoid(g) in the quotient; its vectorised polynomial is good to two units
// in the last place; three roundings follow.
func swiglu(g, u rows) rows {
	y := g.like()
	for i := range y.v {
		gv, uv := g.v[i], u.v[i]
		sig := 1 / (1 + math.Exp(-gv))
		y.v[i] = gv * sig * uv
		rel := (1 - sig) * (1 - sig) * (gv*gv + 16)
		slope := sig * (1 + gv*(1-sig)) * uv
		y.noise[i] = y.v[i]*y.v[i]*f32*(4+rel) + slope*slope*g.noiseAt(i) + gv*sig*gv*sig*u.noiseAt(i)
	}
	return y
}

// rope rotates each head's pairs (a, b) by theta = pos * base^(-2i/dims):
//
//	a' = a cos(theta) - b sin(theta)
//	b' = a sin(theta) + b cos(theta)
//
// x is [T*heads, D], position of row r is pos[r/heads]. Mirrors
// ggml_rope_cache_init and ggml_compute_forward_rope_flt (ggml-cpu/ops.cpp).
// Noise: theta is a product of up to i+1 rounded factors, the scale's own
// rounding raised to the i-th power, so its error grows as i; the error turns
// a' along b' and b' along a'.
func rope(x rows, heads int, pos []int, s Semantics) rows {
	y := x.like()
	half := s.RopeDims / 2
	for r := range x.n {
		in, out, noise := x.row(r), y.row(r), y.noise[r*x.width:(r+1)*x.width]
		for i, v := range in {
			out[i], noise[i] = v, x.noiseAt(r*x.width+i)
		}
		p := float64(pos[r/heads] + s.PosOffset)
		for i := range half {
			ia, ib := i, i+half
			if s.Pairing == Interleaved {
				ia, ib = 2*i, 2*i+1
			}
			theta := s.RopeSign * p * math.Pow(s.RopeBase, -2*float64(i)/float64(s.RopeDims))
			sin, cos := math.Sincos(theta)
			a, b := in[ia], in[ib]
			na, nb := noise[ia], noise[ib]
			out[ia], out[ib] = a*cos-b*sin, a*sin+b*cos
			turn := f32 * (theta*theta*float64(i*i+4) + 4)
			terms := 2 * f32 * (a*a + b*b)
			noise[ia] = turn*out[ib]*out[ib] + terms + cos*cos*na + sin*sin*nb
			noise[ib] = turn*out[ia]*out[ia] + terms + sin*sin*na + cos*cos*nb
		}
	}
	return y
}
