package oracle

import (
	"math"

	"attndiff/traces/half"
	"attndiff/traces/trace"
)

// Arithmetic is how an engine multiplies and adds; it decides the noise that
// the engine may have beyond that of f32 operands and f32 sums.
type Arithmetic uint8

const (
	// PlainF32 multiplies what it is given: f32 activations, weights and
	// cache widened to f32. Ours is held to it.
	PlainF32 Arithmetic = iota
	// GGML is llama.cpp on the CPU. It narrows the activation to the weight's
	// own type first (F16, BF16) or quantises it in blocks of 32 (Q8_0 and the
	// other quants), as ggml_compute_forward_mul_mat does through
	// type_traits_cpu.vec_dot_type (ggml-cpu/ggml-cpu.c). Queries and
	// probabilities are narrowed to the cache's type in the same way.
	GGML
	// GGMLCUDA is llama.cpp on an NVIDIA GPU. ggml_cuda_mul_mat (ggml-cuda.cu)
	// chooses among kernels by type, shape and number of tokens; the noise is
	// that of the least precise of them. Its elementwise kernels are compiled
	// with -use_fast_math (ggml-cuda/CMakeLists.txt).
	GGMLCUDA
	// TensorCores is f32 whose products may narrow both operands to f16: what
	// is granted an engine that does not say, on a model in any type. Sums are
	// f32; sums in f16 are a mistake that people make.
	TensorCores
	// F16 and BF16 keep weights, operands and what every op gives in that type
	// and sum in f32, as a PyTorch model of that dtype does.
	F16
	BF16
)

// ParseArithmetic reads an arithmetic as a trace states it: f32 for
// [PlainF32], tf32 for [TensorCores], f16 or bf16.
func ParseArithmetic(text string) (a Arithmetic, ok bool) {
	a, ok = map[string]Arithmetic{"f32": PlainF32, "tf32": TensorCores, "f16": F16, "bf16": BF16}[text]
	return a, ok
}

// Foreign reports whether nothing but its arithmetic is known of the engine.
func (a Arithmetic) Foreign() bool { return a >= TensorCores }

// ggml reports whether the engine is llama.cpp.
func (a Arithmetic) ggml() bool { return a == GGML || a == GGMLCUDA }

// narrowing is the relative variance of keeping a value in a type narrower
// than f32.
func (a Arithmetic) narrowing() float64 {
	switch a {
	case F16:
		return RoundingNMSE(UnitF16)
	case BF16:
		return RoundingNMSE(UnitBF16)
	}
	return 0
}

// keeping is the relative variance of keeping a value.
func (a Arithmetic) keeping() float64 { return f32 + a.narrowing() }

// multiply is how an engine forms dot products of n terms with the rows of a
// matrix. The variances are what it adds to f32's own dotNoise and sumNoise.
type multiply struct {
	operand string  // type the activation is narrowed to, "F32" for none
	matrix  float64 // relative variance of narrowing the matrix's elements
	dot     float64 // relative to the sum of the squared terms
	sum     float64 // relative to the squared sum
	floor   float64 // absolute
}

// multiply returns how the engine multiplies by a matrix whose elements are of
// the given type, n of them to a row.
func (a Arithmetic) multiply(dtype string, n int) multiply {
	switch a {
	case GGML:
		return multiply{operand: dtype}
	case GGMLCUDA:
		return cudaMultiply(dtype, n)
	case TensorCores:
		return multiply{operand: "F16", matrix: RoundingNMSE(UnitF16)}
	case F16:
		return multiply{operand: "F16", matrix: a.narrowing(), sum: a.narrowing()}
	case BF16:
		return multiply{operand: "BF16", matrix: a.narrowing(), sum: a.narrowing()}
	}
	return multiply{operand: "F32"}
}

// ProductNMSE is the NMSE that the engine's arithmetic leaves in a product by a
// matrix of the given type with rows of n, for activations and terms of any
// size and sign, where no inputs are at hand to tell more; 0 for types whose
// activations are quantised in blocks.
func (a Arithmetic) ProductNMSE(dtype string, n int) float64 {
	m := a.multiply(dtype, n)
	operand := map[string]float64{"F16": RoundingNMSE(UnitF16), "BF16": RoundingNMSE(UnitBF16), "TF32": truncationNMSE(UnitTF32)}[m.operand]
	return operand + m.matrix + m.dot + m.sum
}

// cudaMultiply is the least precise of ggml-cuda's products by a matrix of the
// given type:
//
//	F32   cublasSgemm with TF32 math and mul_mat_f (mmf.cu): both operands lose
//	      their last 13 digits on the way into the tensor cores
//	F16   cublasGemmEx with CUBLAS_COMPUTE_16F: f16 operands, sums and result; so
//	      has mul_mat_vec_f (mmvf.cu), which decodes, its sums in half2
//	BF16  cublasGemmEx: bf16 operands, f32 sums, bf16 result
//	else  mul_mat_q and mul_mat_vec_q: the activation in blocks of 8-bit integers
//	      (quantize.cu), f32 sums of exact block sums
func cudaMultiply(dtype string, n int) multiply {
	m := multiply{operand: dtype}
	switch dtype {
	case "F32":
		m.operand, m.matrix = "TF32", truncationNMSE(UnitTF32)
		m.sum = truncationShift * truncationShift
	case "F16":
		m.dot, m.sum, m.floor = halfSums(n)
	case "BF16":
		m.sum = RoundingNMSE(UnitBF16)
	}
	return m
}

// truncationShift is what cutting digits off both factors takes from a product
// on average: each loses half a spacing, u/m at mantissa m, and the mean of 1/m
// over mantissas distributed as 1/m on [1,2) is 1/(2 ln 2).
const truncationShift = 2 * UnitTF32 / (2 * math.Ln2)

// halfSlab is how many products an instruction of a tensor core adds before it
// rounds the sum to f16: 8 on the oldest GPU that CUDA 13 serves, 16 since
// (mma.m16n8k8 and k16, PTX ISA).
const halfSlab = 8

// halfSums is the variance of sums of n products kept in f16, in multiply's
// three parts. The partial sums behave as in dotNoise and sumNoise, with one
// rounding every halfSlab terms; each product and the result are rounded too,
// and below f16's normal range every rounding costs a constant.
func halfSums(n int) (dot, sum, floor float64) {
	u, roundings := RoundingNMSE(UnitF16), float64(n)/halfSlab+2
	return u * roundings / 2, u * (roundings/3 + 1), halfSubnormal * 2 * float64(n)
}

// flashSums is the variance of summing n probabilities times V in f16 relative
// to the squared sum of the terms' magnitudes, as fused attention does: the k-th
// partial sum is about k/n of the whole.
func flashSums(n int) float64 { return (float64(n)/3 + 1) * RoundingNMSE(UnitF16) }

// rounding is the variance of one step of an elementwise function, relative to
// its squared value: one rounding, or for CUDA's approximate functions what
// __expf(x) is off by: up to 2 + 1.16|x| units in the last place of two
// roundoffs each (CUDA C++ Programming Guide, "Intrinsic Functions"). A uniform
// error of 2.3 roundoffs has 10 times the variance of a rounding.
func (s Semantics) rounding() float64 {
	if s.arith == GGMLCUDA {
		return f32 * 2.3 * 2.3 / 3 / roundingShape
	}
	return s.arith.keeping()
}

// turning is the variance of the angle theta = pos * scale^i, in radians, and of
// its sine and cosine. In f32 theta is a product of up to i+1 rounded factors,
// the scale's own rounding raised to the i-th power, so its error grows as i.
//
// Approximate functions (rope.cu under -use_fast_math) take scale^i as
// 2^(i log2 scale): the logarithm is off by 4 roundoffs u, which times i and
// ln 2 and with the rounding of the product makes 3.2 i u, the power by 4 u, the
// sine by 11 u (PTX ISA, lg2.approx, ex2.approx and sin.approx). Each is taken as
// uniform, whose variance is a third of its square.
func (s Semantics) turning(theta float64, i int) float64 {
	if s.arith != GGMLCUDA { // angles are f32 everywhere, their sines are kept as all else
		return f32*theta*theta*float64(i*i+4) + 4*s.arith.keeping()
	}
	const u2 = UnitF32 * UnitF32 / 3
	return u2 * (theta*theta*(3.2*3.2*float64(i*i)+25) + 11*11)
}

// Grain is the type that values are kept in, however wide they were recorded:
// the narrowest that holds them all.
func Grain(v []float64) trace.DType {
	bf16, f16 := true, true
	for _, x := range v {
		if math.IsNaN(x) {
			continue
		}
		y := float32(x)
		if float64(y) != x {
			return trace.F64
		}
		bf16 = bf16 && half.RoundBF16(y) == y
		f16 = f16 && half.RoundF16(y) == y
		if !bf16 && !f16 {
			return trace.F32
		}
	}
	// Most values of bf16 are values of f16 too, and few the other way round.
	if bf16 {
		return trace.BF16
	}
	return trace.F16
}
