package diagnose

import (
	"math"
	"slices"

	"attndiff/harness/oracle"
)

// divisorMistakes divide rows by another measure of their size, eps added or
// left out.
func divisorMistakes() []Hypothesis {
	var out []Hypothesis
	by := func(id, title string, centres bool, size func(row []float64, eps float64) float64) {
		for _, without := range []bool{false, true} {
			if without {
				id, title = id+"-without-eps", title+", and eps is left out"
			}
			out = append(out, Hypothesis{ID: id, Aspect: "root", Taps: normTaps, Title: title,
				Fix: "Divide by sqrt(mean(x^2) + eps), of the row as it is.",
				Variant: semantic(func(s *oracle.Semantics) {
					s.NormCenters = s.NormCenters || centres
					s.NormDivisor = func(row []float64, eps float64) float64 {
						if without {
							eps = 0
						}
						return size(row, eps)
					}
				})})
		}
	}
	mean := func(row []float64, of func(v float64) float64) float64 {
		sum := 0.0
		for _, v := range row {
			sum += of(v)
		}
		return sum / float64(len(row))
	}
	square := func(v float64) float64 { return v * v }
	by("norm-mean-of-absolutes", "rows are divided by the mean of absolute values, not by the root mean square", false,
		func(row []float64, eps float64) float64 { return mean(row, math.Abs) + eps })
	by("norm-sum-of-absolutes", "rows are divided by the sum of absolute values, not by the root mean square", false,
		func(row []float64, eps float64) float64 { return mean(row, math.Abs)*float64(len(row)) + eps })
	by("norm-largest-absolute", "rows are divided by their largest absolute value, not by the root mean square", false,
		func(row []float64, eps float64) float64 {
			return math.Max(slices.Max(row), -slices.Min(row)) + eps
		})
	by("norm-deviation", "rows are divided by their standard deviation: the mean is subtracted before squaring", false,
		func(row []float64, eps float64) float64 {
			m := mean(row, func(v float64) float64 { return v })
			return math.Sqrt(mean(row, func(v float64) float64 { return square(v - m) }) + eps)
		})
	by("norm-centred", "the row's mean is subtracted from what is divided by the root mean square", true,
		func(row []float64, eps float64) float64 { return math.Sqrt(mean(row, square) + eps) })
	return out
}
