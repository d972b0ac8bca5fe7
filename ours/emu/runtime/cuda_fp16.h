// IEEE half precision (CUDA's cuda_fp16.h, the part that needs no GPU): each
// operation is computed in f32 and rounded once, to nearest even, which for
// + - * / gives the correctly rounded half.
#pragma once

#include "emu.h"

#if defined(__F16C__) && !defined(EMU_SOFT_HALF)
// One instruction of the processor, on the first of four places.
static inline float emu_half_to_float(unsigned short h) {
    typedef short Halves __attribute__((vector_size(16)));
    return __builtin_ia32_vcvtph2ps((Halves){(short)h})[0];
}
#else
static inline float emu_half_to_float(unsigned short h) {
    // Shifted into place the exponent is 112 too small; the product mends it,
    // exactly, for normal and denormal halves alike. Inf and NaN need their
    // exponent set by hand.
    const unsigned sign = (h & 0x8000u) << 16;
    const unsigned magnitude = (h & 0x7fffu) << 13;
    const float scaled = __uint_as_float(magnitude) * 0x1p112f;
    const unsigned bits = magnitude >= 0x0f800000u ? (magnitude | 0x7f800000u) : __float_as_uint(scaled);
    return __uint_as_float(sign | bits);
}
#endif

static inline unsigned short emu_float_to_half(float f) {
    const unsigned bits = __float_as_uint(f);
    const unsigned sign = (bits >> 16) & 0x8000u;
    const unsigned magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return 0x7fff; // the one NaN that cvt.rn.f16.f32 gives
    }
    if (magnitude >= 0x47800000u) { // 65536 and more
        return (unsigned short)(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) {
        // Below 2^-14 the result is denormal, a multiple of 2^-24: adding 0.5,
        // whose last place is 2^-24, rounds there.
        const float rounded = __uint_as_float(magnitude) + 0.5f;
        return (unsigned short)(sign | (__float_as_uint(rounded) - 0x3f000000u));
    }
    // Round the 13 bits that go; a carry may run into the exponent, up to Inf.
    const unsigned odd = (magnitude >> 13) & 1u;
    return (unsigned short)(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

struct __half {
    unsigned short x;
    __half() = default;
    __half(float f) : x(emu_float_to_half(f)) {}
    operator float() const { return emu_half_to_float(x); }
    __half &operator+=(__half o) { return *this = __half((float)*this + (float)o); }
    __half &operator-=(__half o) { return *this = __half((float)*this - (float)o); }
    __half &operator*=(__half o) { return *this = __half((float)*this * (float)o); }
    __half &operator/=(__half o) { return *this = __half((float)*this / (float)o); }
};
typedef __half half;

static inline __half operator+(const __half &a, const __half &b) { return __half((float)a + (float)b); }
static inline __half operator-(const __half &a, const __half &b) { return __half((float)a - (float)b); }
static inline __half operator*(const __half &a, const __half &b) { return __half((float)a * (float)b); }
static inline __half operator/(const __half &a, const __half &b) { return __half((float)a / (float)b); }
static inline __half operator-(const __half &a) { return __half(-(float)a); }
static inline bool operator<(const __half &a, const __half &b) { return (float)a < (float)b; }
static inline bool operator>(const __half &a, const __half &b) { return (float)a > (float)b; }
static inline bool operator<=(const __half &a, const __half &b) { return (float)a <= (float)b; }
static inline bool operator>=(const __half &a, const __half &b) { return (float)a >= (float)b; }
static inline bool operator==(const __half &a, const __half &b) { return (float)a == (float)b; }
static inline bool operator!=(const __half &a, const __half &b) { return (float)a != (float)b; }

static inline __half __float2half(float f) { return __half(f); }
static inline __half __float2half_rn(float f) { return __half(f); }
static inline float __half2float(__half h) { return h; }
static inline __half __ushort_as_half(unsigned short bits) { return emu_bits<__half>(bits); }
static inline unsigned short __half_as_ushort(__half h) { return h.x; }
static inline __half __hadd(__half a, __half b) { return a + b; }
static inline __half __hsub(__half a, __half b) { return a - b; }
static inline __half __hmul(__half a, __half b) { return a * b; }
static inline __half __hdiv(__half a, __half b) { return a / b; }
static inline __half __hneg(__half a) { return -a; }
static inline bool __hisnan(__half a) { return (a.x & 0x7fffu) > 0x7c00u; }
// The product of two halves is exact in f32 and their sum with a third exact
// in f64 up to one rounding far below a half's.
static inline __half __hfma(__half a, __half b, __half c) {
    return __half((float)((double)(float)a * (float)b + (float)c));
}

struct __attribute__((aligned(4))) __half2 {
    __half x, y;
};
typedef __half2 half2;

static inline __half2 __halves2half2(__half x, __half y) { return {x, y}; }
static inline __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
static inline __half2 __float22half2_rn(float2 v) { return {__half(v.x), __half(v.y)}; }
static inline __half2 __float2half2_rn(float v) { return {__half(v), __half(v)}; }
static inline float2 __half22float2(__half2 v) { return {(float)v.x, (float)v.y}; }
static inline __half __low2half(__half2 v) { return v.x; }
static inline __half __high2half(__half2 v) { return v.y; }
static inline float __low2float(__half2 v) { return v.x; }
static inline float __high2float(__half2 v) { return v.y; }
static inline __half2 __hadd2(__half2 a, __half2 b) { return {a.x + b.x, a.y + b.y}; }
static inline __half2 __hmul2(__half2 a, __half2 b) { return {a.x * b.x, a.y * b.y}; }
static inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; }
