package oracle

import (
	"math"
	"slices"
)

// scores is kq[h,t,c] = sum_d q[t,h,d] * k[c,g(h),d], no scale and no mask.
// q is [T*H, D], k is [C*G, D], the result [H*T, C]. Mirrors the
// ggml_mul_mat(k, q) of llm_graph_context::build_attn_mha (llama-graph.cpp).
func scores(q, k Rows, heads, kvHeads int, s Semantics, a attention) Rows {
	tokens, cells, dim := q.N/heads, k.N/kvHeads, q.Width
	y := NewRows(heads*tokens, cells)
	narrowed := make([]float64, dim)
	sizes := make([]float64, k.N)
	for i := range sizes {
		sizes[i] = squares(k.Row(i))
	}
	for h := range heads {
		g := s.KVHead(h, heads, kvHeads)
		for t := range tokens {
			qi := t*heads + h
			qrow := q.Row(qi)
			size := squares(qrow)
			operandNoise(narrowed, qrow, a.scores.operand)
			for d, v := range qrow {
				narrowed[d] += (dotNoise(dim)+a.scores.dot+a.scores.matrix)*v*v + q.noiseAt(qi*dim+d)
			}
			out := (h*tokens + t) * cells
			for c := range cells {
				ki := c*kvHeads + g
				noise := 0.0
				for d, kv := range k.Row(ki) {
					noise += narrowed[d]*kv*kv + qrow[d]*qrow[d]*k.noiseAt(ki*dim+d)
				}
				sum := s.dot(qrow, k.Row(ki))
				y.V[out+c], y.Noise[out+c] = sum, noise+(sumNoise(dim)+a.scores.sum)*sum*sum+a.scores.floor
				if overflows(math.Sqrt(size * sizes[ki])) {
					y.open(out+c, out+c+1)
				}
			}
		}
	}
	return y
}

// dot is the sum of a[i]*b[i], in order.
func (s Semantics) dot(a, b []float64) float64 {
	sum := 0.0
	if s.Accumulate == nil {
		for i, v := range b {
			sum += a[i] * v
		}
		return sum
	}
	for i, v := range b {
		sum = s.Accumulate(sum, a[i]*v)
	}
	return sum
}

// softMax is p[h,t,c] = exp(z_c - max z) / sum exp(z - max z) with
// z = scale*kq over the columns that token t sees and 0 elsewhere; the first
// token of the step stands at position past. Mirrors
// ggml_compute_forward_soft_max_f32 (ggml-cpu/ops.cpp) with the mask of
// llama_kv_cache::set_input_kq_mask (llama-kv-cache.cpp).
// Noise: rounding z and max z shifts the exponent by |z| units; exp, the sum
// and the division follow. Probabilities below f32's normal range flush, so a
// spacing of the smallest normal number is owed absolutely; exponentials that
// are themselves that small, because the maximum is not the row's own, come in
// steps of the smallest number. An engine with approximate exponentials has the
// more of all that.
func softMax(kq Rows, tokens, past int, s Semantics) Rows {
	y := kq.like()
	z := make([]float64, kq.Width)
	for r := range kq.N {
		in, out := kq.Row(r), y.Row(r)
		t := r % tokens
		peak := math.Inf(-1)
		for c, v := range in {
			if z[c] = s.Masked; s.Visible(past, t, c) {
				z[c] = s.ScoreScale * v
			}
			if z[c] > math.Inf(-1) {
				peak = math.Max(peak, s.peak(z[c], v))
			}
		}
		sum, seen := 0.0, 0
		for c := range in {
			// Where no visible score is above -Inf their maximum is -Inf too, and
			// the difference NaN.
			if z[c] > math.Inf(-1) || math.IsNaN(z[c]) || math.IsInf(peak, -1) && s.Visible(past, t, c) {
				out[c] = s.exp(z[c] - peak)
				seen++
			}
			if s.Summed == nil {
				sum += out[c]
			} else if s.Summed(past, t, c, kq.Width) {
				sum += s.exp(s.ScoreScale*in[c] - peak)
			}
		}
		if s.Normaliser != nil {
			sum = s.Normaliser(sum)
		}
		// An error of one score moves its own probability directly and the
		// others through the sum, where it weighs by the probability.
		grain := smallestNumber / sum // what one exponential's own grain is worth
		shared, inherited := float64(seen)*grain*grain, 0.0
		for c := range in {
			if seen == 0 || math.IsInf(z[c], -1) {
				continue
			}
			if out[c] /= sum; math.IsNaN(out[c]) {
				continue // an infinite sum leaves NaN beside zeros
			}
			shared += out[c] * out[c] * s.rounding() * (z[c]*z[c] + 4)
			inherited += out[c] * out[c] * s.ScoreScale * s.ScoreScale * kq.noiseAt(r*kq.Width+c)
		}
		for c := range in {
			if math.IsInf(z[c], -1) {
				continue
			}
			rel := s.arith.keeping()*(z[c]*z[c]+peak*peak) + s.rounding()*((z[c]-peak)*(z[c]-peak)+8) + sumNoise(seen) + shared
			rel += s.ScoreScale*s.ScoreScale*kq.noiseAt(r*kq.Width+c) + inherited
			y.Noise[r*kq.Width+c] = out[c]*out[c]*rel + smallestNormal*smallestNormal + grain*grain
		}
	}
	return y
}

// peak is what a column contributes to its row's maximum.
func (s Semantics) peak(scaled, raw float64) float64 {
	if s.Peak == nil {
		return scaled
	}
	return s.Peak(scaled, raw)
}

// exp is the exponential in the softmax.
func (s Semantics) exp(x float64) float64 {
	if s.Exp == nil {
		return math.Exp(x)
	}
	return s.Exp(x)
}

// The smallest normal f32 and the smallest there is.
const (
	smallestNormal = 0x1p-126
	smallestNumber = 0x1p-149
)

// weightedSum is kqv[t,h,d] = sum_c p[h,t,c] * v[c,g(h),d]. p is [H*T, C], v is
// [C*G, D], the result [T*H, D]. Mirrors the ggml_mul_mat(v, kq) and the
// permute that merges heads in build_attn_mha (llama-graph.cpp).
// Noise: products below f32's normal range flush, as in the softmax.
func weightedSum(p, v Rows, heads, kvHeads int, s Semantics, a attention) Rows {
	tokens, cells, dim := p.N/heads, p.Width, v.Width
	y := NewRows(tokens*heads, dim)
	narrowed, size := make([]float64, cells), make([]float64, dim)
	whole := finiteRows(v)
	for h := range heads {
		g := s.KVHead(h, heads, kvHeads)
		for t := range tokens {
			pi := h*tokens + t
			prow := p.Row(pi)
			operandNoise(narrowed, prow, a.values.operand)
			clear(size)
			out := (t*heads + h) * dim
			for c, pv := range prow {
				vi := c*kvHeads + g
				// Zero times a value that is not finite is NaN: llama.cpp
				// multiplies masked columns too, others leave them out.
				if pv == 0 && (whole[vi] || s.SkipsMasked) {
					continue
				}
				own := narrowed[c] + (dotNoise(cells)+a.values.dot+a.values.matrix)*pv*pv + p.noiseAt(pi*cells+c)
				s.axpy(y.V[out:out+dim], pv, v.Row(vi))
				for d, vv := range v.Row(vi) {
					size[d] += math.Abs(pv * vv)
					y.Noise[out+d] += own*vv*vv + pv*pv*v.noiseAt(vi*dim+d)
				}
			}
			for d, sum := range y.V[out : out+dim] {
				y.Noise[out+d] += (sumNoise(cells)+a.values.sum)*sum*sum + a.values.floor + float64(cells)*smallestNormal*smallestNormal
			}
			for d, sum := range size {
				if a.flash {
					y.Noise[out+d] += flashSums(cells) * sum * sum
				}
				if overflows(sum) {
					y.open(out+d, out+d+1)
				}
			}
		}
	}
	return y
}

// finiteRows says which rows hold no NaN and no Inf.
func finiteRows(x Rows) []bool {
	whole := make([]bool, x.N)
	for i := range whole {
		whole[i] = !slices.ContainsFunc(x.Row(i), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	}
	return whole
}

// axpy adds a*x to y.
func (s Semantics) axpy(y []float64, a float64, x []float64) {
	if s.Accumulate == nil {
		for i, v := range x {
			y[i] += a * v
		}
		return
	}
	for i, v := range x {
		y[i] = s.Accumulate(y[i], a*v)
	}
}

// attention is an engine's arithmetic where queries and probabilities meet the
// cache.
type attention struct {
	scores, values multiply
	// flash marks llama.cpp's fused attention, which sums probabilities times
	// V in f16 (ggml_compute_forward_flash_attn_ext, ggml-cpu/ops.cpp;
	// fattn-vec.cuh and fattn-mma-f16.cuh).
	flash bool
}
