// Attention scores with grouped queries (GQA, arXiv:2305.13245): query head h
// reads key head g = h / (H/G), so H/G neighbouring query heads share one.
//
//     kq[h,t,c] = sum_d q[t,h,d] * k[c,g,d]
//
//     q   [T,H,D]  f32, rotated
//     k   [C,G,D]  f16 or f32, one layer of the cache, C = pos0 + T positions
//     kq  [H,T,C]  f32: raw, no 1/sqrt(D) and no mask (softmax.cu applies both)
//
// Launch: grid (ceil(C/32), ceil(T/8), H), block (32, 8). A block computes a
// tile of 8 tokens by 32 positions of one head, one score per thread. Dims pass
// through shared memory 64 at a time, so that each cache row is read from
// global memory once per 8 tokens and by neighbouring threads in order.

#include <cuda_fp16.h>

constexpr int SCORES_POSITIONS = 32; // positions of a tile, blockDim.x
constexpr int SCORES_TOKENS = 8;     // tokens of a tile, blockDim.y
constexpr int SCORES_DIMS = 64;      // dims staged at a time

static __device__ float scores_to_float(float v) { return v; }
static __device__ float scores_to_float(__half v) { return __half2float(v); }

template <typename S>
static __device__ void gqa_scores(const float *q, const S *k, float *kq, int T, int C, int H, int G, int D) {
    // One column of padding puts the 32 rows a warp reads together into 32
    // different banks.
    __shared__ float k_tile[SCORES_POSITIONS][SCORES_DIMS + 1];
    __shared__ float q_tile[SCORES_TOKENS][SCORES_DIMS];

    const int h = blockIdx.z;
    const int g = h / (H / G);
    const int c0 = blockIdx.x * SCORES_POSITIONS;
    const int t0 = blockIdx.y * SCORES_TOKENS;
    const int thread = threadIdx.y * SCORES_POSITIONS + threadIdx.x;
    const int threads = SCORES_TOKENS * SCORES_POSITIONS;

    float acc = 0.0f;
    for (int d0 = 0; d0 < D; d0 += SCORES_DIMS) {
        // Rows past the end and dims past D are zeros.
        for (int i = thread; i < SCORES_POSITIONS * SCORES_DIMS; i += threads) {
            const int c = c0 + i / SCORES_DIMS;
            const int d = d0 + i % SCORES_DIMS;
            const bool inside = c < C && d < D;
            k_tile[i / SCORES_DIMS][i % SCORES_DIMS] = inside ? scores_to_float(k[((size_t)c * G + g) * D + d]) : 0.0f;
        }
        for (int i = thread; i < SCORES_TOKENS * SCORES_DIMS; i += threads) {
            const int t = t0 + i / SCORES_DIMS;
            const int d = d0 + i % SCORES_DIMS;
            const bool inside = t < T && d < D;
            q_tile[i / SCORES_DIMS][i % SCORES_DIMS] = inside ? q[((size_t)t * H + h) * D + d] : 0.0f;
        }
        __syncthreads();
        for (int d = 0; d < SCORES_DIMS; d++) {
            acc += q_tile[threadIdx.y][d] * k_tile[threadIdx.x][d];
        }
        __syncthreads(); // before the next dims overwrite the tiles
    }

    const int c = c0 + threadIdx.x;
    const int t = t0 + threadIdx.y;
    if (t < T && c < C) {
        kq[((size_t)h * T + t) * C + c] = acc;
    }
}

// Scores against an f16 cache.
// tap: kq
extern "C" __global__ void gqa_scores_f16(const float *q, const __half *k, float *kq,
                                          int T, int C, int H, int G, int D) {
    gqa_scores(q, k, kq, T, C, H, G, D);
}

// Scores against an f32 cache.
// tap: kq
extern "C" __global__ void gqa_scores_f32(const float *q, const float *k, float *kq,
                                          int T, int C, int H, int G, int D) {
    gqa_scores(q, k, kq, T, C, H, G, D);
}
