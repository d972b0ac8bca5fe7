// Q8_0 weights to f32, once at load time. A block of the format is 34 bytes: an
// f16 scale, then 32 signed bytes (ggml-common.h, block_q8_0).
//
//     y[32*b + i] = scale[b] * q[b,i]
//
//     blocks  [n/32] of 34 bytes
//     y       [n]  f32
//
// Launch: grid (ceil(n/256)), block (256). One thread per element, so a warp
// reads one block and writes one contiguous run. Writes no tap.

#include <cuda_fp16.h>

constexpr int Q8_0_ELEMENTS = 32;
constexpr int Q8_0_BYTES = 34;

extern "C" __global__ void dequant_q8_0(const unsigned char *blocks, float *y, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    const unsigned char *block = blocks + (size_t)(i / Q8_0_ELEMENTS) * Q8_0_BYTES;
    const float scale = __half2float(*(const __half *)block);
    const signed char q = (signed char)block[sizeof(__half) + i % Q8_0_ELEMENTS];
    y[i] = scale * q;
}
