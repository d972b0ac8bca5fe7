// CUDA's math functions beyond the C library's.
#pragma once

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
// The fast variants. Macros, because the C library declares functions of these
// names for its own use.
#define __expf(x) expf(x)
#define __exp10f(x) exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)
#define __sincosf(x, s, c) sincosf(x, s, c)
static inline float __fdividef(float x, float y) { return x / y; }
static inline float __saturatef(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }
static inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
static inline float __fdiv_rn(float x, float y) { return x / y; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __frsqrt_rn(float x) { return 1.0f / sqrtf(x); }
// These promise to stay apart, so they must not be inlined into a neighbour
// that the compiler would contract them with.
static __attribute__((noinline, unused)) float __fadd_rn(float x, float y) { return x + y; }
static __attribute__((noinline, unused)) float __fsub_rn(float x, float y) { return x - y; }
static __attribute__((noinline, unused)) float __fmul_rn(float x, float y) { return x * y; }

// float overloads of what the C library has for double only. A compiler whose
// environment puts libstdc++ in the way all the same (CPLUS_INCLUDE_PATH) has
// them from its <math.h>.
#ifndef _GLIBCXX_MATH_H
static inline float abs(float x) { return fabsf(x); }
static inline double abs(double x) { return fabs(x); }
static inline long long abs(long long x) { return llabs(x); }
#define EMU_FLOAT_OVERLOAD(name)                                                                                      \
    static inline float name(float x) { return name##f(x); }
EMU_FLOAT_OVERLOAD(fabs)
EMU_FLOAT_OVERLOAD(sqrt)
EMU_FLOAT_OVERLOAD(exp)
EMU_FLOAT_OVERLOAD(exp2)
EMU_FLOAT_OVERLOAD(expm1)
EMU_FLOAT_OVERLOAD(log)
EMU_FLOAT_OVERLOAD(log2)
EMU_FLOAT_OVERLOAD(log1p)
EMU_FLOAT_OVERLOAD(sin)
EMU_FLOAT_OVERLOAD(cos)
EMU_FLOAT_OVERLOAD(tanh)
EMU_FLOAT_OVERLOAD(erf)
EMU_FLOAT_OVERLOAD(floor)
EMU_FLOAT_OVERLOAD(ceil)
EMU_FLOAT_OVERLOAD(rint)
EMU_FLOAT_OVERLOAD(round)
#undef EMU_FLOAT_OVERLOAD
static inline float pow(float x, float y) { return powf(x, y); }
#endif
static inline float rsqrt(float x) { return rsqrtf(x); }

static inline int __float2int_rn(float x) { return (int)rintf(x); }
static inline int __float2int_rz(float x) { return (int)x; }
static inline int __float2int_rd(float x) { return (int)floorf(x); }
static inline int __float2int_ru(float x) { return (int)ceilf(x); }
static inline float __int2float_rn(int x) { return (float)x; }
static inline float __uint2float_rn(unsigned x) { return (float)x; }

#define EMU_MIN_MAX(R, A, B)                                                                                          \
    static inline R min(A a, B b) { return (R)a < (R)b ? (R)a : (R)b; }                                               \
    static inline R max(A a, B b) { return (R)a > (R)b ? (R)a : (R)b; }
EMU_MIN_MAX(int, int, int)
EMU_MIN_MAX(unsigned, unsigned, unsigned)
EMU_MIN_MAX(unsigned, int, unsigned)
EMU_MIN_MAX(unsigned, unsigned, int)
EMU_MIN_MAX(long, long, long)
EMU_MIN_MAX(unsigned long, unsigned long, unsigned long)
EMU_MIN_MAX(long long, long long, long long)
EMU_MIN_MAX(unsigned long long, unsigned long long, unsigned long long)
#undef EMU_MIN_MAX
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(float a, double b) { return fmin(a, b); }
static inline double max(float a, double b) { return fmax(a, b); }
static inline double min(double a, float b) { return fmin(a, b); }
static inline double max(double a, float b) { return fmax(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
