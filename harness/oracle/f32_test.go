package oracle

import "math"

// Plain sequential f32 loops, one per op.

func toF32(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(float32(x))
	}
	return out
}

func repeat(v []float64, n int) []float64 {
	var out []float64
	for range n {
		out = append(out, v...)
	}
	return out
}

func f32Map2(a, b []float64, f func(a, b float32) float32) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = float64(f(float32(a[i]), float32(b[i])))
	}
	return out
}

func f32RMSNorm(x Rows, w []float64, eps float32) []float64 {
	out := make([]float64, len(x.V))
	for r := range x.N {
		var sum float32
		for _, v := range x.Row(r) {
			sum += float32(v) * float32(v)
		}
		f := 1 / float32(math.Sqrt(float64(sum/float32(x.Width)+eps)))
		for i, v := range x.Row(r) {
			out[r*x.Width+i] = float64(float32(v) * f * float32(w[i]))
		}
	}
	return out
}

func f32Rope(x Rows, heads int, pos []int) []float64 {
	out := make([]float64, len(x.V))
	half := x.Width / 2
	scale := float32(math.Pow(hp.RopeFreqBase, -2/float64(x.Width)))
	for r := range x.N {
		theta := float32(pos[r/heads])
		for i := range half {
			sin, cos := float32(math.Sin(float64(theta))), float32(math.Cos(float64(theta)))
			a, b := float32(x.Row(r)[i]), float32(x.Row(r)[i+half])
			out[r*x.Width+i] = float64(a*cos - b*sin)
			out[r*x.Width+i+half] = float64(a*sin + b*cos)
			theta *= scale
		}
	}
	return out
}

func f32Scores(q, k Rows, heads, kvHeads int) []float64 {
	tokens, cells := q.N/heads, k.N/kvHeads
	var out []float64
	for h := range heads {
		for t := range tokens {
			for c := range cells {
				var dot float32
				for d, v := range q.Row(t*heads + h) {
					dot += float32(v) * float32(k.Row(c*kvHeads + h/(heads/kvHeads))[d])
				}
				out = append(out, float64(dot))
			}
		}
	}
	return out
}

func f32SoftMax(kq Rows, tokens, past int, scale float32) []float64 {
	out := make([]float64, len(kq.V))
	for r := range kq.N {
		seen := past + r%tokens + 1
		peak, sum := float32(math.Inf(-1)), float32(0)
		for _, v := range kq.Row(r)[:seen] {
			peak = max(peak, float32(v)*scale)
		}
		for _, v := range kq.Row(r)[:seen] {
			sum += float32(math.Exp(float64(float32(v)*scale - peak)))
		}
		for c, v := range kq.Row(r)[:seen] {
			out[r*kq.Width+c] = float64(float32(math.Exp(float64(float32(v)*scale-peak))) / sum)
		}
	}
	return out
}

func f32WeightedSum(p, v Rows, heads, kvHeads int) []float64 {
	tokens := p.N / heads
	var out []float64
	for t := range tokens {
		for h := range heads {
			for d := range v.Width {
				var sum float32
				for c, pv := range p.Row(h*tokens + t) {
					sum += float32(pv) * float32(v.Row(c*kvHeads + h/(heads/kvHeads))[d])
				}
				out = append(out, float64(sum))
			}
		}
	}
	return out
}
