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

func f32RMSNorm(x rows, w []float64, eps float32) []float64 {
	out := make([]float64, len(x.v))
	for r := range x.n {
		var sum float32
		for _, v := range x.row(r) {
			sum += float32(v) * float32(v)
		}
		f := 1 / float32(math.Sqrt(float64(sum/float32(x.width)+eps)))
		for i, v := range x.row(r) {
			out[r*x.width+i] = float64(float32(v) * f * float32(w[i]))
		}
	}
	return out
}

func f32Rope(x rows, heads int, pos []int) []float64 {
	out := make([]float64, len(x.v))
	half := x.width / 2
	scale := float32(math.Pow(hp.RopeFreqBase, -2/float64(x.width)))
	for r := range x.n {
		theta := float32(pos[r/heads])
		for i := range half {
			sin, cos := float32(math.Sin(float64(theta))), float32(math.Cos(float64(theta)))
			a, b := float32(x.row(r)[i]), float32(x.row(r)[i+half])
			out[r*x.width+i] = float64(a*cos - b*sin)
			out[r*x.width+i+half] = float64(a*sin + b*cos)
			theta *= scale
		}
	}
	return out
}

func f32Scores(q, k rows, heads, kvHeads int) []float64 {
	tokens, cells := q.n/heads, k.n/kvHeads
	var out []float64
	for h := range heads {
		for t := range tokens {
			for c := range cells {
				var dot float32
				for d, v := range q.row(t*heads + h) {
					dot += float32(v) * float32(k.row(c*kvHeads + h/(heads/kvHeads))[d])
				}
				out = append(out, float64(dot))
			}
		}
	}
	return out
}

func f32SoftMax(kq rows, tokens, past int, scale float32) []float64 {
	out := make([]float64, len(kq.v))
	for r := range kq.n {
		seen := past + r%tokens + 1
		peak, sum := float32(math.Inf(-1)), float32(0)
		for _, v := range kq.row(r)[:seen] {
			peak = max(peak, float32(v)*scale)
		}
		for _, v := range kq.row(r)[:seen] {
			sum += float32(math.Exp(float64(float32(v)*scale - peak)))
		}
		for c, v := range kq.row(r)[:seen] {
			out[r*kq.width+c] = float64(float32(math.Exp(float64(float32(v)*scale-peak))) / sum)
		}
	}
	return out
}

func f32WeightedSum(p, v rows, heads, kvHeads int) []float64 {
	tokens := p.n / heads
	var out []float64
	for t := range tokens {
		for h := range heads {
			for d := range v.width {
				var sum float32
				for c, pv := range p.row(h*tokens + t) {
					sum += float32(pv) * float32(v.row(c*kvHeads + h/(heads/kvHeads))[d])
				}
				out = append(out, float64(sum))
			}
		}
	}
	return out
}
