package diagnose

import (
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
)

// biasOf names the vector that a tap adds.
var biasOf = map[tap.Tap]string{tap.QBias: "attn_q.bias", tap.KBias: "attn_k.bias", tap.VBias: "attn_v.bias"}

// largestBias is the largest magnitude of a bias over the judged layers, 0 for
// a model without it.
func (r *scope) largestBias(t tap.Tap) float64 {
	largest := 0.0
	for _, l := range r.layers {
		v, err := r.bench.Model.Float32(gguf.LayerName(l, biasOf[t]))
		if err != nil {
			continue // the model has none
		}
		for _, b := range v {
			largest = math.Max(largest, math.Abs(float64(b)))
		}
	}
	return largest
}

// largestCached is the largest magnitude in the caches after the last step.
func (r *scope) largestCached() float64 {
	largest := 0.0
	for _, t := range []tap.Tap{tap.KCache, tap.VCache} {
		for _, l := range r.layers {
			r.visit(tap.At(r.steps-1, l, t), func(row []float64) {
				for _, x := range row {
					largest = math.Max(largest, math.Abs(x))
				}
			})
		}
	}
	return largest
}

// largestScore is the largest magnitude of a score after scaling, in the first
// and last step.
func (r *scope) largestScore() float64 {
	largest := 0.0
	for _, step := range []int{0, r.steps - 1} {
		for _, l := range r.layers {
			r.visit(tap.At(step, l, tap.KQ), func(row []float64) {
				for _, x := range row {
					largest = math.Max(largest, math.Abs(x))
				}
			})
		}
	}
	return largest / math.Sqrt(float64(r.bench.Ours.Meta().Hparams.HeadDim))
}

// smallestSquare is the smallest mean square of a row that the norms read.
func (r *scope) smallestSquare(hidden []trial) float64 {
	smallest := math.Inf(1)
	for _, t := range hidden {
		for _, k := range t.recordings {
			for _, in := range oracle.Inputs(k.Key, r.bench.Ours.Meta().Hparams.NLayer) {
				r.visit(in, func(row []float64) { smallest = math.Min(smallest, rms(row)*rms(row)) })
			}
		}
	}
	return smallest
}

// visit reads a recording of the reference row by row. What cannot be read has
// nothing to say here.
func (r *scope) visit(k tap.Key, row func([]float64)) {
	info, ok := r.bench.Reference.Info(k)
	v, err := r.bench.Reference.Float64(k, nil)
	if !ok || err != nil {
		return
	}
	width := info.Shape[len(info.Shape)-1]
	for lo := 0; lo+width <= len(v); lo += width {
		row(v[lo : lo+width])
	}
}
