// CUDA's small vectors (vector_types.h, vector_functions.h).
#pragma once

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

#define EMU_VECTORS(T, name)                                                                                          \
    struct __attribute__((aligned(2 * sizeof(T)))) name##2 {                                                          \
        T x, y;                                                                                                       \
    };                                                                                                                \
    struct name##3 {                                                                                                  \
        T x, y, z;                                                                                                    \
    };                                                                                                                \
    struct __attribute__((aligned(4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16))) name##4 {                                \
        T x, y, z, w;                                                                                                 \
    };                                                                                                                \
    static inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                                 \
    static inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                                         \
    static inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }

EMU_VECTORS(signed char, char)
EMU_VECTORS(unsigned char, uchar)
EMU_VECTORS(short, short)
EMU_VECTORS(unsigned short, ushort)
EMU_VECTORS(int, int)
EMU_VECTORS(float, float)
EMU_VECTORS(double, double)
#undef EMU_VECTORS

struct __attribute__((aligned(8))) uint2 {
    unsigned x, y;
};
struct __attribute__((aligned(16))) uint4 {
    unsigned x, y, z, w;
};
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
