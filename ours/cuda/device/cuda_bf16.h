// bfloat16, the upper half of an f32, under the names of CUDA's cuda_bf16.h,
// the part that our kernels may use. Operations are computed in f32 and rounded
// once, to nearest even, with integers: GPUs before sm_80 have no instruction
// for it.
#pragma once

static __device__ __forceinline__ unsigned short attndiff_float_to_bfloat16(float f) {
    const unsigned bits = __float_as_uint(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return 0x7fff; // the one NaN that cvt.rn.bf16.f32 gives
    }
    return (unsigned short)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

struct __align__(2) __nv_bfloat16 {
    unsigned short x;
    __nv_bfloat16() = default;
    __device__ __nv_bfloat16(float f) : x(attndiff_float_to_bfloat16(f)) {}
    __device__ operator float() const { return __uint_as_float((unsigned)x << 16); }
    __device__ __nv_bfloat16 &operator+=(__nv_bfloat16 o) { return *this = __nv_bfloat16((float)*this + (float)o); }
    __device__ __nv_bfloat16 &operator-=(__nv_bfloat16 o) { return *this = __nv_bfloat16((float)*this - (float)o); }
    __device__ __nv_bfloat16 &operator*=(__nv_bfloat16 o) { return *this = __nv_bfloat16((float)*this * (float)o); }
    __device__ __nv_bfloat16 &operator/=(__nv_bfloat16 o) { return *this = __nv_bfloat16((float)*this / (float)o); }
};

typedef __nv_bfloat16 attndiff_b;
static __device__ __forceinline__ attndiff_b operator+(const attndiff_b &a, const attndiff_b &b) { return (float)a + (float)b; }
static __device__ __forceinline__ attndiff_b operator-(const attndiff_b &a, const attndiff_b &b) { return (float)a - (float)b; }
static __device__ __forceinline__ attndiff_b operator*(const attndiff_b &a, const attndiff_b &b) { return (float)a * (float)b; }
static __device__ __forceinline__ attndiff_b operator/(const attndiff_b &a, const attndiff_b &b) { return (float)a / (float)b; }
static __device__ __forceinline__ attndiff_b operator-(const attndiff_b &a) { return -(float)a; }
static __device__ __forceinline__ bool operator<(const attndiff_b &a, const attndiff_b &b) { return (float)a < (float)b; }
static __device__ __forceinline__ bool operator>(const attndiff_b &a, const attndiff_b &b) { return (float)a > (float)b; }
static __device__ __forceinline__ bool operator<=(const attndiff_b &a, const attndiff_b &b) { return (float)a <= (float)b; }
static __device__ __forceinline__ bool operator>=(const attndiff_b &a, const attndiff_b &b) { return (float)a >= (float)b; }
static __device__ __forceinline__ bool operator==(const attndiff_b &a, const attndiff_b &b) { return (float)a == (float)b; }
static __device__ __forceinline__ bool operator!=(const attndiff_b &a, const attndiff_b &b) { return (float)a != (float)b; }

static __device__ __forceinline__ __nv_bfloat16 __float2bfloat16(float f) { return __nv_bfloat16(f); }
static __device__ __forceinline__ __nv_bfloat16 __float2bfloat16_rn(float f) { return __nv_bfloat16(f); }
static __device__ __forceinline__ float __bfloat162float(__nv_bfloat16 b) { return b; }
static __device__ __forceinline__ __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) {
    __nv_bfloat16 b;
    b.x = bits;
    return b;
}
static __device__ __forceinline__ unsigned short __bfloat16_as_ushort(__nv_bfloat16 b) { return b.x; }

struct __align__(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};

static __device__ __forceinline__ __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
    return {__nv_bfloat16(x), __nv_bfloat16(y)};
}
static __device__ __forceinline__ float2 __bfloat1622float2(__nv_bfloat162 v) { return make_float2((float)v.x, (float)v.y); }
