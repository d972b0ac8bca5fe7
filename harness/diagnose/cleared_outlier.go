package diagnose

import (
	"math"
	"slices"
)

// outliers scores magnitudes against their own median. Magnitudes of one kind
// spread over octaves, so it is their logarithms that have a centre and a width:
// the median, and 1.4826 times the median distance from it, which is the
// standard deviation of a normal sample. Of n normal values the largest is
// expected sqrt(2 ln n) deviations out; the score is the distance in that unit.
// Zeros have no logarithm and score 0, as does everything where more than half
// of the values are the same, and what is less than striking times the median.
func outliers(v []float64) (scores []float64, median float64) {
	scores = make([]float64, len(v))
	var logs []float64
	for _, x := range v {
		if x != 0 {
			logs = append(logs, math.Log(math.Abs(x)))
		}
	}
	if len(logs) < smallestSample {
		return scores, math.NaN()
	}
	centre := middle(logs)
	distance := make([]float64, len(logs))
	for i, l := range logs {
		distance[i] = math.Abs(l - centre)
	}
	const normal = 1.4826 // 1 / the upper quartile of the standard normal
	width := normal * middle(distance) * math.Sqrt(2*math.Log(float64(len(v))))
	if width > 0 {
		for i, x := range v {
			if l := math.Log(math.Abs(x)) - centre; l >= math.Log(striking) {
				scores[i] = l / width
			}
		}
	}
	return scores, math.Exp(centre)
}

// striking is how many times the median a reader stops at. It hides what is
// outlying by the numbers and would worry nobody; no verdict depends on it.
const striking = 5

// smallestSample is how many values a median of distances needs to say
// something about the width of a sample.
const smallestSample = 8

// middle is the median; v is sorted on the way.
func middle(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// rms is the root mean square.
func rms(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum / float64(max(len(v), 1)))
}
