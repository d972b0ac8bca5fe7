package trace

import "math"

// Greedy returns the index of the largest of a row of logits, the first of
// equals. NaN is never the largest, and of a row without a number the answer is
// 0, as in llama.cpp's greedy sampler (llama_sampler_greedy_apply).
func Greedy(logits []float32) int32 {
	best, at := float32(math.Inf(-1)), 0
	for i, v := range logits {
		if v > best {
			best, at = v, i
		}
	}
	return int32(at)
}
