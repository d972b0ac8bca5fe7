// Package half converts between float32 and the two 16-bit floating-point
// types of the trace contract, one value or a whole buffer at a time.
//
//	F16   IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits
//	BF16  the upper half of a float32: 1 sign, 8 exponent, 7 fraction bits
//
// Widening is exact. Narrowing rounds to nearest, ties to even, as CUDA's
// __float2half_rn and __float2bfloat16_rn and ggml's GGML_FP32_TO_FP16 and
// ggml_compute_fp32_to_bf16 do; a NaN stays a NaN, made quiet.
//
// The package knows bits. It must not know tensors or files.
package half
