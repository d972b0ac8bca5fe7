// What a GPU has and C++ has no word for: tensor cores, asynchronous copies, the
// exponential of its special function unit. Each
// function has two bodies, one of PTX for a GPU and one of plain C++ for the
// emulator, that compute the same: what one of them is wrong about, a test of
// the other does not show. PTX ISA: "Matrix multiply-accumulate operation using
// mma instruction", "ldmatrix", "cp.async".
//
// A fragment is a matrix spread over a warp's registers. In the words of the
// PTX ISA, groupID is lane/4 and threadID_in_group is lane%4; here row and quad:
//
//     A [16,16]  a[0]: row,   cols 2*quad, +1     a[2]: row,   cols 2*quad+8, +9
//                a[1]: row+8, cols 2*quad, +1     a[3]: row+8, cols 2*quad+8, +9
//     B [16,8]   b[0]: rows 2*quad, +1, col row   b[1]: rows 2*quad+8, +9, col row
//     C [16,8]   c[0], c[1]: row,   cols 2*quad, +1
//                c[2], c[3]: row+8, cols 2*quad, +1
//
// A and B are pairs of f16 in 32 bits, the first in the low half; C is f32.
#pragma once

#include <cuda_fp16.h>

// C += A B, in f32.
static __device__ __forceinline__ void mma_16x8x16(float c[4], const unsigned a[4], unsigned b0, unsigned b1);

// Two f32 as a pair of f16, rounded to nearest even.
static __device__ __forceinline__ unsigned half_pair(float low, float high);

// A pair of f16 as two f32.
static __device__ __forceinline__ float2 half_pair_values(unsigned pair);

// The low halves of two pairs as a pair; the high halves.
static __device__ __forceinline__ unsigned low_halves(unsigned first, unsigned second);
static __device__ __forceinline__ unsigned high_halves(unsigned first, unsigned second);

// Four 8 x 8 matrices of f16 from shared memory, B fragments of a matrix whose
// columns lie one after the other: r[i] holds row lane/4, cols 2*quad, +1 of
// matrix i. at(n) is where row n%8 of matrix n/8 starts, 16 bytes, aligned.
template <typename Address> static __device__ __forceinline__ void load_matrices(unsigned r[4], Address at);

// The same, transposed: r[i] holds rows 2*quad, +1, col lane/4 of matrix i.
template <typename Address> static __device__ __forceinline__ void load_matrices_transposed(unsigned r[4], Address at);

// Starts to copy 16 bytes from global to shared memory, or zeros if not valid;
// from must point to readable memory then too. copies_end_group closes a group
// of copies, copies_wait<N> waits for all groups but the N latest. Visible to
// other threads after a barrier.
static __device__ __forceinline__ void copy_16(void *shared, const void *from, bool valid);
static __device__ __forceinline__ void copies_end_group();
template <int N> static __device__ __forceinline__ void copies_wait();

// Counts up and returns the count before. What this thread wrote before, or a
// barrier made known to it, is seen by whoever counts later and by those that
// a barrier then lets go on (PTX ISA, "Memory Consistency Model").
static __device__ __forceinline__ unsigned count_up(unsigned *counter);

// 2^x by one instruction, to 2 units of 2^-23; 0 where the result is no normal number.
static __device__ __forceinline__ float power_of_two(float x);

// Programmatic dependent launch (sm_90): lets the next kernel of the stream begin
// before this one ends; waits for the previous one's end and its writes. Without
// the launch attribute that asks for it, and on older GPUs, they do nothing.
static __device__ __forceinline__ void next_kernel_may_begin();
static __device__ __forceinline__ void previous_kernel_has_ended();

#ifdef ATTNDIFF_EMULATOR

static __device__ float power_of_two(float x) { return x < -126.0f ? 0.0f : exp2f(x); }

static __device__ void next_kernel_may_begin() { cudaTriggerProgrammaticLaunchCompletion(); }
static __device__ void previous_kernel_has_ended() { cudaGridDependencySynchronize(); }

// One warp runs until all its lanes wait, so one place to meet is enough.
static __device__ void mma_16x8x16(float c[4], const unsigned a[4], unsigned b0, unsigned b1) {
    typedef float Eight __attribute__((vector_size(32)));
    __shared__ Eight rows[16][2], cols[8][2]; // of A, of B: 16 values each
    const int row = threadIdx.x % 32 / 4;
    const int quad = threadIdx.x % 4;
    for (int half = 0; half < 2; half++) {
        ((float2 *)&rows[row][half])[quad] = half_pair_values(a[2 * half]);
        ((float2 *)&rows[row + 8][half])[quad] = half_pair_values(a[2 * half + 1]);
        ((float2 *)&cols[row][half])[quad] = half_pair_values(half == 0 ? b0 : b1);
    }
    __syncwarp();
    for (int i = 0; i < 4; i++) {
        const Eight *const x = rows[row + i / 2 * 8];
        const Eight *const y = cols[2 * quad + i % 2];
        const Eight products = x[0] * y[0] + x[1] * y[1];
        for (int k = 0; k < 8; k++) {
            c[i] += products[k];
        }
    }
    __syncwarp(); // before the next product's operands
}

static __device__ float2 half_pair_values(unsigned pair) {
    return make_float2(__half2float(__ushort_as_half(pair & 0xffffu)), __half2float(__ushort_as_half(pair >> 16)));
}

static __device__ unsigned half_pair(float low, float high) {
    return __half_as_ushort(__float2half_rn(low)) | (unsigned)__half_as_ushort(__float2half_rn(high)) << 16;
}

static __device__ unsigned low_halves(unsigned first, unsigned second) { return (first & 0xffffu) | second << 16; }
static __device__ unsigned high_halves(unsigned first, unsigned second) { return first >> 16 | (second & 0xffff0000u); }

template <typename Address> static __device__ void load_matrices(unsigned r[4], Address at) {
    for (int i = 0; i < 4; i++) {
        r[i] = ((const unsigned *)at(8 * i + threadIdx.x % 32 / 4))[threadIdx.x % 4];
    }
}

template <typename Address> static __device__ void load_matrices_transposed(unsigned r[4], Address at) {
    const int col = threadIdx.x % 32 / 4;
    for (int i = 0; i < 4; i++) {
        const int row = 8 * i + threadIdx.x % 4 * 2;
        r[i] = ((const unsigned short *)at(row))[col] | (unsigned)((const unsigned short *)at(row + 1))[col] << 16;
    }
}

static __device__ void copy_16(void *shared, const void *from, bool valid) { __pipeline_memcpy_async(shared, from, 16, valid ? 0 : 16); }
static __device__ void copies_end_group() { __pipeline_commit(); }
template <int N> static __device__ void copies_wait() { __pipeline_wait_prior(N); }

static __device__ unsigned count_up(unsigned *counter) { return atomicAdd(counter, 1u); }

#else

static __device__ __forceinline__ void mma_16x8x16(float c[4], const unsigned a[4], unsigned b0, unsigned b1) {
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else // in two halves of the columns of A
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}

static __device__ __forceinline__ unsigned half_pair(float low, float high) {
    unsigned pair;
#if __CUDA_ARCH__ >= 800
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
#else
    asm("{.reg .f16 l, h; cvt.rn.f16.f32 l, %1; cvt.rn.f16.f32 h, %2; mov.b32 %0, {l, h};}" : "=r"(pair) : "f"(low), "f"(high));
#endif
    return pair;
}

static __device__ __forceinline__ float2 half_pair_values(unsigned pair) {
    float2 v;
    asm("{.reg .f16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h;}" : "=f"(v.x), "=f"(v.y) : "r"(pair));
    return v;
}

static __device__ __forceinline__ unsigned low_halves(unsigned first, unsigned second) { return __byte_perm(first, second, 0x5410); }
static __device__ __forceinline__ unsigned high_halves(unsigned first, unsigned second) { return __byte_perm(first, second, 0x7632); }

template <typename Address> static __device__ __forceinline__ void load_matrices(unsigned r[4], Address at) {
    const unsigned from = (unsigned)__cvta_generic_to_shared(at(threadIdx.x % 32));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(from)
                 : "memory");
}

template <typename Address> static __device__ __forceinline__ void load_matrices_transposed(unsigned r[4], Address at) {
    const unsigned from = (unsigned)__cvta_generic_to_shared(at(threadIdx.x % 32));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(from)
                 : "memory");
}

static __device__ __forceinline__ void copy_16(void *shared, const void *from, bool valid) {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"((unsigned)__cvta_generic_to_shared(shared)), "l"(from),
                 "r"(valid ? 16 : 0)
                 : "memory");
#else
    *(uint4 *)shared = valid ? *(const uint4 *)from : make_uint4(0, 0, 0, 0);
#endif
}

static __device__ __forceinline__ void copies_end_group() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

static __device__ __forceinline__ float power_of_two(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

static __device__ __forceinline__ unsigned count_up(unsigned *counter) {
    unsigned before;
    asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;" : "=r"(before) : "l"(counter) : "memory");
    return before;
}

static __device__ __forceinline__ void next_kernel_may_begin() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

static __device__ __forceinline__ void previous_kernel_has_ended() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

template <int N> static __device__ __forceinline__ void copies_wait() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

#endif
