// What the two fused attention kernels share: f32 operands on tensor cores that
// take f16. An operand x goes in as two, high + low, each f16: together they
// hold 22 bits of x, so a product of x and an f16 number loses no more than one
// in f32 does. Keys and values are f16 already.
#pragma once

#include "tensor_core.cuh"

// The score of a masked position, -Inf.
static __device__ __forceinline__ float no_score() { return __int_as_float(0xff800000); }

// The power of two that brings a row of queries, whose largest magnitude is
// given, up to 2^13 or a little more: well inside f16, with room below for the
// low parts of its small elements. The row's scores are that much too large.
static __device__ __forceinline__ float query_lift(float largest) {
    const int exponent = (__float_as_int(largest) >> 23 & 0xff) - 127;
    // Rows of zeros, Inf and NaN stay as they are.
    const bool ordinary = largest > 0.0f && exponent > -100 && exponent < 114;
    return ordinary ? __int_as_float((127 + 13 - exponent) << 23) : 1.0f;
}

// What makes a score of a lifted query the exponent of its weight as a power of
// two: scale * log2(e) / lift.
static __device__ __forceinline__ float score_factor(float scale, float lift) {
    const float inverse = __int_as_float((254 << 23) - __float_as_int(lift)); // exact
    return scale * 1.44269504088896340736f * inverse;
}

// Two elements of a query as pairs high and low. The high part is cut, not
// rounded, and no low part is 0, so that both have the element's sign: against
// an infinite key they give its infinite score and not Inf - Inf or 0 * Inf.
static __device__ __forceinline__ void split_query(float x, float y, unsigned *high, unsigned *low) {
    const unsigned cut = 0xffffe000u; // f16 has 13 bits less
    *high = half_pair(__uint_as_float(__float_as_uint(x) & cut), __uint_as_float(__float_as_uint(y) & cut));
    const float2 held = half_pair_values(*high);
    unsigned rest = half_pair(x - held.x, y - held.y);
    if ((rest & 0x7fffu) == 0 && x != 0.0f) {
        rest = (rest & 0xffff0000u) | (__float_as_uint(x) >> 16 & 0x8000u) | 1u;
    }
    if ((rest & 0x7fff0000u) == 0 && y != 0.0f) {
        rest = (rest & 0xffffu) | (__float_as_uint(y) & 0x80000000u) | 0x10000u;
    }
    *low = rest;
}

// Two weights of a softmax as pairs high and low, rounded.
static __device__ __forceinline__ void split_weights(float x, float y, unsigned *high, unsigned *low) {
    *high = half_pair(x, y);
    const float2 held = half_pair_values(*high);
    *low = half_pair(x - held.x, y - held.y);
}
