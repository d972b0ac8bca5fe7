// Bit casts, cached loads, bit counting and atomics.
#pragma once

// Reads the bytes of one type as another of the same size.
template <typename To, typename From> static inline To emu_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
    To to;
    memcpy(&to, &from, sizeof(to));
    return to;
}

static inline float __int_as_float(int v) { return emu_bits<float>(v); }
static inline float __uint_as_float(unsigned v) { return emu_bits<float>(v); }
static inline int __float_as_int(float v) { return emu_bits<int>(v); }
static inline unsigned __float_as_uint(float v) { return emu_bits<unsigned>(v); }

template <typename T> static inline T __ldg(const T *p) { return *p; }
template <typename T> static inline T __ldcg(const T *p) { return *p; }
template <typename T> static inline T __ldcs(const T *p) { return *p; }

static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
static inline int __ffs(int v) { return __builtin_ffs(v); }
[[noreturn]] static inline void __trap() { __builtin_trap(); }
static inline void __threadfence() {}
static inline void __threadfence_block() {}

// Threads never run at the same instant here, so plain updates are atomic.
// Each returns the old value.
#define EMU_ATOMICS(T)                                                                                                \
    static inline T atomicAdd(T *p, T v) {                                                                            \
        T old = *p;                                                                                                   \
        *p = old + v;                                                                                                 \
        return old;                                                                                                   \
    }                                                                                                                 \
    static inline T atomicExch(T *p, T v) {                                                                           \
        T old = *p;                                                                                                   \
        *p = v;                                                                                                       \
        return old;                                                                                                   \
    }
#define EMU_INT_ATOMICS(T)                                                                                            \
    EMU_ATOMICS(T)                                                                                                    \
    static inline T atomicMax(T *p, T v) {                                                                            \
        T old = *p;                                                                                                   \
        *p = old > v ? old : v;                                                                                       \
        return old;                                                                                                   \
    }                                                                                                                 \
    static inline T atomicMin(T *p, T v) {                                                                            \
        T old = *p;                                                                                                   \
        *p = old < v ? old : v;                                                                                       \
        return old;                                                                                                   \
    }                                                                                                                 \
    static inline T atomicCAS(T *p, T compare, T v) {                                                                 \
        T old = *p;                                                                                                   \
        *p = old == compare ? v : old;                                                                                \
        return old;                                                                                                   \
    }
EMU_ATOMICS(float)
EMU_ATOMICS(double)
EMU_INT_ATOMICS(int)
EMU_INT_ATOMICS(unsigned)
EMU_INT_ATOMICS(unsigned long long)
#undef EMU_INT_ATOMICS
#undef EMU_ATOMICS
