// IEEE half precision under the names of CUDA's cuda_fp16.h, the part that our
// kernels may use. Conversions are the GPU's own instructions. Arithmetic is
// computed in f32 and rounded once, to nearest even, which for + - * / gives
// the correctly rounded half, as the native instructions do.
#pragma once

static __device__ __forceinline__ float attndiff_half_to_float(unsigned short h) {
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}

static __device__ __forceinline__ unsigned short attndiff_float_to_half(float f) {
    unsigned short h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}

struct __align__(2) __half {
    unsigned short x;
    __half() = default;
    __device__ __half(float f) : x(attndiff_float_to_half(f)) {}
    __device__ operator float() const { return attndiff_half_to_float(x); }
    __device__ __half &operator+=(__half o) { return *this = __half((float)*this + (float)o); }
    __device__ __half &operator-=(__half o) { return *this = __half((float)*this - (float)o); }
    __device__ __half &operator*=(__half o) { return *this = __half((float)*this * (float)o); }
    __device__ __half &operator/=(__half o) { return *this = __half((float)*this / (float)o); }
};
typedef __half half;

static __device__ __forceinline__ __half operator+(const __half &a, const __half &b) { return __half((float)a + (float)b); }
static __device__ __forceinline__ __half operator-(const __half &a, const __half &b) { return __half((float)a - (float)b); }
static __device__ __forceinline__ __half operator*(const __half &a, const __half &b) { return __half((float)a * (float)b); }
static __device__ __forceinline__ __half operator/(const __half &a, const __half &b) { return __half((float)a / (float)b); }
static __device__ __forceinline__ __half operator-(const __half &a) { return __half(-(float)a); }
static __device__ __forceinline__ bool operator<(const __half &a, const __half &b) { return (float)a < (float)b; }
static __device__ __forceinline__ bool operator>(const __half &a, const __half &b) { return (float)a > (float)b; }
static __device__ __forceinline__ bool operator<=(const __half &a, const __half &b) { return (float)a <= (float)b; }
static __device__ __forceinline__ bool operator>=(const __half &a, const __half &b) { return (float)a >= (float)b; }
static __device__ __forceinline__ bool operator==(const __half &a, const __half &b) { return (float)a == (float)b; }
static __device__ __forceinline__ bool operator!=(const __half &a, const __half &b) { return (float)a != (float)b; }

static __device__ __forceinline__ __half __float2half(float f) { return __half(f); }
static __device__ __forceinline__ __half __float2half_rn(float f) { return __half(f); }
static __device__ __forceinline__ float __half2float(__half h) { return h; }
static __device__ __forceinline__ __half __ushort_as_half(unsigned short bits) {
    __half h;
    h.x = bits;
    return h;
}
static __device__ __forceinline__ unsigned short __half_as_ushort(__half h) { return h.x; }
static __device__ __forceinline__ __half __hadd(__half a, __half b) { return a + b; }
static __device__ __forceinline__ __half __hsub(__half a, __half b) { return a - b; }
static __device__ __forceinline__ __half __hmul(__half a, __half b) { return a * b; }
static __device__ __forceinline__ __half __hdiv(__half a, __half b) { return a / b; }
static __device__ __forceinline__ __half __hneg(__half a) { return -a; }
static __device__ __forceinline__ bool __hisnan(__half a) { return (a.x & 0x7fffu) > 0x7c00u; }
static __device__ __forceinline__ __half __hfma(__half a, __half b, __half c) {
    asm("fma.rn.f16 %0, %1, %2, %3;" : "=h"(a.x) : "h"(a.x), "h"(b.x), "h"(c.x));
    return a;
}

struct __align__(4) __half2 {
    __half x, y;
};
typedef __half2 half2;

static __device__ __forceinline__ __half2 __halves2half2(__half x, __half y) { return {x, y}; }
static __device__ __forceinline__ __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
static __device__ __forceinline__ __half2 __float22half2_rn(float2 v) { return {__half(v.x), __half(v.y)}; }
static __device__ __forceinline__ __half2 __float2half2_rn(float v) { return {__half(v), __half(v)}; }
static __device__ __forceinline__ float2 __half22float2(__half2 v) { return make_float2((float)v.x, (float)v.y); }
static __device__ __forceinline__ __half __low2half(__half2 v) { return v.x; }
static __device__ __forceinline__ __half __high2half(__half2 v) { return v.y; }
static __device__ __forceinline__ float __low2float(__half2 v) { return v.x; }
static __device__ __forceinline__ float __high2float(__half2 v) { return v.y; }
static __device__ __forceinline__ __half2 __hadd2(__half2 a, __half2 b) { return {a.x + b.x, a.y + b.y}; }
static __device__ __forceinline__ __half2 __hmul2(__half2 a, __half2 b) { return {a.x * b.x, a.y * b.y}; }
static __device__ __forceinline__ __half2 __hfma2(__half2 a, __half2 b, __half2 c) {
    return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}
