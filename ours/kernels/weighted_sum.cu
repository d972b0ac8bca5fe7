// Values weighted by attention probabilities, heads merged back token by token:
//
//     y[t,h,d] = sum_c p[h,t,c] * v[c,g,d]        g = h / (H/G)
//
//     p  [H,T,C]  f32; masked columns are 0 and add nothing
//     v  [C,G,D]  f16 or f32, one layer of the cache
//     y  [T,H,D]  f32, ready to be the [T,H*D] operand of the output projection
//
// Launch: grid (T, H), block (D rounded up to a multiple of 32). One thread per
// dim: a cache row is read by neighbouring threads in order. Probabilities pass
// through shared memory 256 at a time.

#include <cuda_fp16.h>

constexpr int WEIGHTED_SUM_TILE = 256; // probabilities staged at a time

static __device__ float weighted_sum_to_float(float v) { return v; }
static __device__ float weighted_sum_to_float(__half v) { return __half2float(v); }

template <typename S>
static __device__ void weighted_sum(const float *p, const S *v, float *y, int T, int C, int H, int G, int D) {
    __shared__ float p_tile[WEIGHTED_SUM_TILE];

    const int t = blockIdx.x;
    const int h = blockIdx.y;
    const int g = h / (H / G);
    const int d = threadIdx.x;
    const float *probs = p + ((size_t)h * T + t) * C;

    float acc = 0.0f;
    for (int c0 = 0; c0 < C; c0 += WEIGHTED_SUM_TILE) {
        const int n = min(WEIGHTED_SUM_TILE, C - c0);
        for (int i = threadIdx.x; i < n; i += blockDim.x) {
            p_tile[i] = probs[c0 + i];
        }
        __syncthreads();
        if (d < D) {
            for (int i = 0; i < n; i++) {
                acc += p_tile[i] * weighted_sum_to_float(v[((size_t)(c0 + i) * G + g) * D + d]);
            }
        }
        __syncthreads(); // before the next tile overwrites this one
    }
    if (d < D) {
        y[((size_t)t * H + h) * D + d] = acc;
    }
}

// Weighted sum of an f16 cache.
// tap: kqv
extern "C" __global__ void weighted_sum_f16(const float *p, const __half *v, float *y,
                                            int T, int C, int H, int G, int D) {
    weighted_sum(p, v, y, T, C, H, G, D);
}

// Weighted sum of an f32 cache.
// tap: kqv
extern "C" __global__ void weighted_sum_f32(const float *p, const float *v, float *y,
                                            int T, int C, int H, int G, int D) {
    weighted_sum(p, v, y, T, C, H, G, D);
}
