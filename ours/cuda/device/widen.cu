// A 16-bit GEMM operand as f32, which is exact: y[i] = x[i].
//
// Launch: grid (up to 4096), block (256); threads stride over the n elements.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

template <typename W>
static __device__ void widen(const W *x, float *y, unsigned long long n) {
    const unsigned long long threads = (unsigned long long)gridDim.x * blockDim.x;
    for (unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x; i < n; i += threads) {
        y[i] = x[i];
    }
}

extern "C" __global__ void attndiff_widen_f16(const __half *x, float *y, unsigned long long n) { widen(x, y, n); }

extern "C" __global__ void attndiff_widen_bf16(const __nv_bfloat16 *x, float *y, unsigned long long n) { widen(x, y, n); }
