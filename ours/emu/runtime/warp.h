// Barriers, shuffles and votes (CUDA C++ Programming Guide, "Synchronization
// Functions", "Warp Shuffle Functions", "Warp Vote Functions").
//
// The caller's file and line ride along as default arguments, for the message
// when threads wait for each other in vain.
#pragma once

#define EMU_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

static inline void __syncthreads(EMU_HERE) { emu_barrier(0, file, line); }
static inline int __syncthreads_count(int predicate, EMU_HERE) { return emu_barrier(predicate != 0, file, line); }
static inline int __syncthreads_or(int predicate, EMU_HERE) { return emu_barrier(predicate != 0, file, line) != 0; }
static inline int __syncthreads_and(int predicate, EMU_HERE) { return emu_barrier(predicate == 0, file, line) == 0; }

static inline void __syncwarp(unsigned mask = 0xffffffffu, EMU_HERE) {
    emu_meet(EMU_SYNCWARP, mask, 0, 0, file, line);
}

static inline unsigned __activemask() { return emu_live_lanes(); }

static inline unsigned __ballot_sync(unsigned mask, int predicate, EMU_HERE) {
    return (unsigned)emu_meet(EMU_VOTE, mask, predicate != 0, 0, file, line);
}
static inline int __any_sync(unsigned mask, int predicate, EMU_HERE) {
    return emu_meet(EMU_VOTE, mask, predicate != 0, 0, file, line) != 0;
}
static inline int __all_sync(unsigned mask, int predicate, EMU_HERE) {
    return emu_meet(EMU_VOTE, mask, predicate == 0, 0, file, line) == 0;
}

// Lane to read, by PTX's rules for shfl: the warp is cut into segments of
// width lanes (a power of two), and a lane whose source would lie outside its
// segment reads itself. An xor may reach into earlier segments, not later ones.
static inline int emu_source(enum emu_meeting kind, int operand, int width) {
    const int lane = emu_lane();
    const int first = lane & ~(width - 1);
    const int last = first + width - 1;
    operand &= 31;
    int source = lane;
    switch (kind) {
    case EMU_SHFL_UP:
        source = lane - operand < first ? lane : lane - operand;
        break;
    case EMU_SHFL_DOWN:
        source = lane + operand > last ? lane : lane + operand;
        break;
    case EMU_SHFL_XOR:
        source = (lane ^ operand) > last ? lane : lane ^ operand;
        break;
    default:
        source = first | (operand & (width - 1));
    }
    return source;
}

template <typename T>
static inline T emu_shuffle(enum emu_meeting kind, unsigned mask, T value, int operand, int width, const char *file,
                            int line) {
    static_assert(sizeof(T) <= 8, "a shuffle moves up to 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(T));
    bits = emu_meet(kind, mask, bits, emu_source(kind, operand, width), file, line);
    memcpy(&value, &bits, sizeof(T));
    return value;
}

template <typename T> static inline T __shfl_sync(unsigned mask, T v, int lane, int width = 32, EMU_HERE) {
    return emu_shuffle(EMU_SHFL, mask, v, lane, width, file, line);
}
template <typename T> static inline T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32, EMU_HERE) {
    return emu_shuffle(EMU_SHFL_UP, mask, v, (int)delta, width, file, line);
}
template <typename T> static inline T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32, EMU_HERE) {
    return emu_shuffle(EMU_SHFL_DOWN, mask, v, (int)delta, width, file, line);
}
template <typename T> static inline T __shfl_xor_sync(unsigned mask, T v, int lanes, int width = 32, EMU_HERE) {
    return emu_shuffle(EMU_SHFL_XOR, mask, v, lanes, width, file, line);
}
#undef EMU_HERE
