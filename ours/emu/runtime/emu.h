// CUDA C++ for a C++ compiler: what the compiler itself knows on a GPU. Kernel
// files see this header without including it, as nvcc and NVRTC do; half and
// bfloat types come from the headers that CUDA keeps them in.
//
// Like NVRTC's world it holds no C++ library: kernels are compiled without its
// headers, which would take longer to read than the kernels.
//
// Numbers follow the GPU where a kernel can tell: products and sums contract
// to fused multiply-adds as nvcc does by default, denormals are kept, division
// and square root are correctly rounded. Transcendental functions are the C
// library's; CUDA's differ by up to a few units in the last place, and the
// fast ones (__expf) by more.
#pragma once

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"

// Says so to code that has one body in PTX and one in C++.
#define ATTNDIFF_EMULATOR 1

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ __inline__ __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
// The block that runs has its OS thread to itself, so its shared variables are
// thread-local: static storage that, unlike a section of its own, also works in
// templates, and that the runtime can find as a whole to fill it with NaN
// between blocks. (extern __shared__ arrays are rewritten before the
// preprocessor sees them, see rewrite.go.)
#define __shared__ static thread_local
#define emu_dynamic_shared emu_dynamic.memory
#define printf(...) fprintf(stderr, __VA_ARGS__)
#define assert(condition) ((condition) ? (void)0 : emu_assert_failed(#condition, __FILE__, __LINE__))

#include "vector_types.h"

#pragma GCC visibility push(hidden)
extern "C" {

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
// Dynamic shared memory: 48 KiB and a margin, between pages that must not be
// touched, so that an index far off is stopped instead of destroying the
// runtime's state.
struct emu_dynamic {
    char before[64 * 1024], memory[52 * 1024], after[64 * 1024];
};
extern struct emu_dynamic emu_dynamic;

// The kinds of meeting: all threads of one meeting must come by the same kind.
enum emu_meeting {
    EMU_SYNCTHREADS,
    EMU_SYNCWARP,
    EMU_SHFL,
    EMU_SHFL_UP,
    EMU_SHFL_DOWN,
    EMU_SHFL_XOR,
    EMU_VOTE,
};

// Waits for all threads of the block that have not returned; gives the number
// of them whose predicate was not 0.
int emu_barrier(int predicate, const char *file, int line);

// Waits for the lanes of the mask. A shuffle gives the value of lane source, a
// vote the mask of lanes whose value was not 0. Lanes that have returned or
// are not in the mask have no value: reading one gives NaN bits.
uint64_t emu_meet(enum emu_meeting kind, unsigned mask, uint64_t value, int source, const char *file, int line);

// Asynchronous copies and the wait for the kernel before; see async.h.
void emu_copy(void *to, const void *from, unsigned size, unsigned zeros);
void emu_copies_commit(void);
void emu_copies_wait(unsigned latest);
void emu_previous_ended(void);

unsigned emu_live_lanes(void); // of this warp
int emu_lane(void);
void emu_assert_failed(const char *condition, const char *file, int line);
}
#pragma GCC visibility pop

static const int warpSize = 32;

#include "async.h"
#include "builtins.h"
#include "device_math.h"
#include "warp.h"
