package oracle

import (
	"math"
	"strings"
)

// Unit roundoffs: half the spacing of floats at 1.
const (
	UnitF32  = 1.0 / (1 << 24)
	UnitF16  = 1.0 / (1 << 11)
	UnitBF16 = 1.0 / (1 << 8)
	UnitTF32 = UnitF16 // f32's range with f16's precision
)

// Confidence is how many variances an error may reach before it is called
// wrong: four standard deviations. A single rounding, the worst case for its
// variance, stays within 1/roundingShape = 5.5 of them.
const Confidence = 16

// roundingShape is the mean square of one rounding's relative error in units
// of the squared unit roundoff. The error is uniform within half a spacing, so
// its variance is u^2/3 at a power of two and falls with the mantissa m as
// 1/m^2; over mantissas distributed as 1/m (Benford) the mean of 1/m^2 on
// [1,2) is 3/(8 ln 2).
const roundingShape = 3.0 / (8 * math.Ln2) / 3

// RoundingNMSE is the NMSE that one rounding with unit roundoff u leaves:
// 4.3e-8 for f16, 2.8e-6 for bf16, 6.4e-16 for f32.
func RoundingNMSE(u float64) float64 { return roundingShape * u * u }

// truncationNMSE is the same for cutting digits off instead of rounding: the
// error is uniform within a whole spacing, all to one side.
func truncationNMSE(u float64) float64 { return 4 * RoundingNMSE(u) }

// f32 is the variance of one f32 rounding relative to the squared value.
var f32 = RoundingNMSE(UnitF32)

// halfSubnormal is the variance of rounding to f16 below its normal range,
// where the spacing is a constant 2^-24.
const halfSubnormal = 1.0 / (1 << 24) / (1 << 24) / 12

// dotNoise is the variance of a dot product of n terms relative to the sum of
// the squared terms, for f32 sums in any order. After k terms of random sign
// the partial sum is sqrt(k) terms large and so is each rounding: n/2 in all
// for the worst order, one term after the other. Terms that pull one way, like
// values that hardly change along the text, add sumNoise of what they add up
// to: the partial sums then grow like k.
func dotNoise(n int) float64 { return f32 * float64(n) }

// sumNoise is the variance of a sum of n terms of one sign relative to the
// squared sum: the k-th partial sum is k/n of the whole, so the roundings add
// up to n/3.
func sumNoise(n int) float64 { return f32 * (float64(n)/3 + 1) }

// quantBlock is the block that ggml quantises activations in before they meet
// a weight of the given type: 256 for the K-quants and most IQ types, whose
// vec_dot_type is Q8_K (QK_K, ggml-common.h), 32 for the others (QK8_0).
func quantBlock(weight string) int {
	if strings.HasSuffix(weight, "_K") || strings.HasPrefix(weight, "IQ") && weight != "IQ4_NL" {
		return 256
	}
	return 32
}

// operandNoise writes to dst the variance that narrowing the activation row x
// to the given operand type leaves in each of its elements.
func operandNoise(dst, x []float64, operand string) {
	switch operand {
	case "F32":
		clear(dst)
	case "F16":
		for i, v := range x {
			dst[i] = RoundingNMSE(UnitF16)*v*v + halfSubnormal
		}
	case "BF16":
		for i, v := range x {
			dst[i] = RoundingNMSE(UnitBF16) * v * v
		}
	case "TF32":
		for i, v := range x {
			dst[i] = truncationNMSE(UnitTF32) * v * v
		}
	default:
		// Q8_0: q = round(x/d), d = amax/127 kept in f16. The error of q is
		// uniform over one step, that of d is one f16 rounding. Q8_K keeps d in
		// f32; the difference is small beside q's.
		block := quantBlock(operand)
		for lo := 0; lo < len(x); lo += block {
			part := x[lo:min(lo+block, len(x))]
			amax := 0.0
			for _, v := range part {
				amax = math.Max(amax, math.Abs(v))
			}
			step := amax / 127
			for i, v := range part {
				dst[lo+i] = step*step/12 + RoundingNMSE(UnitF16)*v*v
			}
		}
	}
}
