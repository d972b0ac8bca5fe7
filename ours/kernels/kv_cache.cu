// Append this step's keys or values to one layer of the cache:
//
//     cache[pos0 + t, g, d] = round(x[t,g,d])
//
//     x      [T,G,D]         f32, the rotated keys or the biased values
//     cache  [capacity,G,D]  f16 (round to nearest even) or f32: one layer of a
//                            buffer laid out [layer][capacity][G][D]; the host
//                            passes the layer's start
//
// Keys and values are stored alike, position by position, so that a step's rows
// form one contiguous run; llama.cpp stores V transposed without flash attention.
//
// Launch: grid (ceil(G*D/256), T), block (256). One thread per element.

#include <cuda_fp16.h>

static __device__ void kv_store(float *slot, float v) { *slot = v; }
static __device__ void kv_store(__half *slot, float v) { *slot = __float2half_rn(v); }

template <typename S>
static __device__ void kv_write(const float *x, S *cache, int G, int D, int pos0) {
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= G * D) {
        return;
    }
    const int g = j / D;
    const int d = j % D;
    const int t = blockIdx.y;
    const int pos = pos0 + t;
    kv_store(&cache[((size_t)pos * G + g) * D + d], x[((size_t)t * G + g) * D + d]);
}

// Rows into an f16 cache.
// tap: k_cache, v_cache
extern "C" __global__ void kv_write_f16(const float *x, __half *cache, int G, int D, int pos0) {
    kv_write(x, cache, G, D, pos0);
}

// Rows into an f32 cache.
// tap: k_cache, v_cache
extern "C" __global__ void kv_write_f32(const float *x, float *cache, int G, int D, int pos0) {
    kv_write(x, cache, G, D, pos0);
}
