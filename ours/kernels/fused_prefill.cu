// Causal attention of a step's T tokens over the cache, in one launch: scores,
// scale, mask, softmax and weighted sum, without a score in memory (Dao,
// "FlashAttention-2", arXiv:2307.08691):
//
//     y[t,h,d] = sum_c p[t,h,c] * v[c,g,d]     p[t,h,:] = softmax(scale * q[t,h,:] . k[:,g,:])
//     g = h / (H/G), c = 0 .. pos0 + t         pos0 = C - T, the positions cached before
//
//     q, y   [T,H,D]  f32, D = 64 or 128
//     k, v   [C,G,D]  f16, one layer of the cache; rows from C on are not read
//     scale  1/sqrt(D)
//
// All query heads of a KV head are rows of one matrix [T * H/G, D], token by
// token, so that they share the keys and values that a block brings in, and a
// step of few tokens fills the rows of its tensor cores all the same.
//
// A block takes 16 rows a warp and walks TILE positions at a time up to the last
// that any of its rows sees. Keys and values lie in shared memory twice: one tile
// is worked on while the next one is copied. Both factors of either product are
// f16 for the tensor cores; queries and weights go in as two parts (fused.cuh).
//
// Launch: grid (ceil(T * H/G / (16*WARPS)), G), block (32*WARPS), dynamic shared
// memory of PrefillSizes<D, TILE>::SHARED bytes.

#include <cuda_fp16.h>

#include "fused.cuh"

template <int D, int TILE> struct PrefillSizes {
    // Bytes of dynamic shared memory: two tiles each of keys and of values.
    static constexpr int SHARED = 2 * 2 * TILE * D * (int)sizeof(__half);
};

// Where 16 bytes of a tile lie: chunk of 8 elements of a row. Chunks of a row
// change places so that the same chunk of 8 rows lies in all 32 banks.
template <int D> static __device__ __forceinline__ __half *prefill_place(__half *tile, int row, int chunk) {
    return tile + row * D + 8 * (chunk ^ row % 8);
}

// Starts to copy a tile of keys or values, rows from first on; rows from C on
// are zeros, whose products with weights of 0 are 0.
template <int D, int WARPS, int TILE>
static __device__ __forceinline__ void prefill_copy(__half *tile, const __half *base, int first, int C, int stride) {
    constexpr int CHUNKS = D / 8;
#pragma unroll
    for (int i = threadIdx.x; i < TILE * CHUNKS; i += 32 * WARPS) {
        const int row = i / CHUNKS, chunk = i % CHUNKS;
        const bool valid = first + row < C;
        copy_16(prefill_place<D>(tile, row, chunk), base + (valid ? (size_t)(first + row) * stride + 8 * chunk : 0), valid);
    }
}

template <int D, int WARPS, int TILE, bool SPLIT> struct Prefill {
    unsigned high[D / 16][4], low[D / 16][4]; // A fragments of the warp's 16 rows
    float out[D / 8][4];                      // C fragments: sums of weighted values
    // Of rows lane/4 and lane/4 + 8; the sums over this lane's columns only.
    float factor[2], largest[2], sum[2];
    int seen[2]; // the last position that the row sees
    int row, quad;

    // The queries of two rows as A fragments; a null pointer is a row of zeros.
    __device__ __forceinline__ void load_queries(const float *const q[2], float scale) {
        float2 x[D / 16][4];
        float magnitude[2] = {0.0f, 0.0f};
#pragma unroll
        for (int s = 0; s < D / 16; s++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float *const from = q[i % 2];
                x[s][i] = from != nullptr ? *(const float2 *)(from + 16 * s + i / 2 * 8 + 2 * quad) : make_float2(0, 0);
                magnitude[i % 2] = fmaxf(magnitude[i % 2], fmaxf(fabsf(x[s][i].x), fabsf(x[s][i].y)));
            }
        }
        float lift[2];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            magnitude[i] = fmaxf(magnitude[i], __shfl_xor_sync(0xffffffffu, magnitude[i], 1));
            magnitude[i] = fmaxf(magnitude[i], __shfl_xor_sync(0xffffffffu, magnitude[i], 2));
            lift[i] = query_lift(magnitude[i]);
            factor[i] = score_factor(scale, lift[i]);
        }
#pragma unroll
        for (int s = 0; s < D / 16; s++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                split_query(x[s][i].x * lift[i % 2], x[s][i].y * lift[i % 2], &high[s][i], &low[s][i]);
            }
        }
    }

    // Scores of the 16 rows at a tile's positions, as C fragments.
    __device__ __forceinline__ void score(float c[TILE / 8][4], __half *keys) const {
#pragma unroll
        for (int n = 0; n < TILE / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                c[n][i] = 0.0f;
            }
        }
#pragma unroll
        for (int s = 0; s < D / 16; s++) {
#pragma unroll
            for (int p = 0; p < TILE / 16; p++) {
                // Matrices: positions 0..7 and 8..15 of 16, each of two chunks.
                unsigned b[4];
                load_matrices(b, [=](int n) { return prefill_place<D>(keys, 16 * p + n / 16 * 8 + n % 8, 2 * s + n / 8 % 2); });
                if (SPLIT) {
                    mma_16x8x16(c[2 * p], low[s], b[0], b[1]);
                    mma_16x8x16(c[2 * p + 1], low[s], b[2], b[3]);
                }
                mma_16x8x16(c[2 * p], high[s], b[0], b[1]);
                mma_16x8x16(c[2 * p + 1], high[s], b[2], b[3]);
            }
        }
    }

    // Hides what a row does not see; first is the tile's first position.
    __device__ __forceinline__ void mask(float c[TILE / 8][4], int first) const {
#pragma unroll
        for (int n = 0; n < TILE / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                if (first + 8 * n + 2 * quad + i % 2 > seen[i / 2]) {
                    c[n][i] = no_score();
                }
            }
        }
    }

    // Turns scores into weights relative to the largest so far, to which what was
    // summed up before is brought too.
    __device__ __forceinline__ void weigh(float c[TILE / 8][4]) {
        float keep[2], zero[2];
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float top = c[0][2 * r];
#pragma unroll
            for (int n = 0; n < TILE / 8; n++) {
                top = fmaxf(top, fmaxf(c[n][2 * r], c[n][2 * r + 1]));
            }
            top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
            top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
            top = fmaxf(largest[r], top * factor[r]);
            zero[r] = top == no_score() ? 0.0f : top; // all -Inf so far: weights 0, not NaN
            keep[r] = power_of_two(largest[r] - zero[r]);
            largest[r] = top;
            sum[r] *= keep[r];
        }
#pragma unroll
        for (int n = 0; n < TILE / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                c[n][i] = power_of_two(fmaf(c[n][i], factor[i / 2], -zero[i / 2]));
                sum[i / 2] += c[n][i];
            }
        }
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                out[n][i] *= keep[i / 2];
            }
        }
    }

    // Adds a tile's values times its weights.
    __device__ __forceinline__ void accumulate(const float c[TILE / 8][4], __half *values) {
#pragma unroll
        for (int p = 0; p < TILE / 16; p++) {
            unsigned high[4], low[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float *const w = &c[2 * p + i / 2][i % 2 * 2];
                split_weights(w[0], w[1], &high[i], &low[i]);
            }
#pragma unroll
            for (int n = 0; n < D / 16; n++) {
                // Matrices: positions 0..7 and 8..15 of 16, of one chunk and the next.
                unsigned b[4];
                load_matrices_transposed(b, [=](int m) { return prefill_place<D>(values, 16 * p + m / 8 % 2 * 8 + m % 8, 2 * n + m / 16); });
                if (SPLIT) {
                    mma_16x8x16(out[2 * n], low, b[0], b[1]);
                    mma_16x8x16(out[2 * n + 1], low, b[2], b[3]);
                }
                mma_16x8x16(out[2 * n], high, b[0], b[1]);
                mma_16x8x16(out[2 * n + 1], high, b[2], b[3]);
            }
        }
    }

    // Writes two rows; a null pointer is a row that is not there.
    __device__ __forceinline__ void store(float *const y[2]) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
            sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
            if (y[r] == nullptr) {
                continue;
            }
#pragma unroll
            for (int n = 0; n < D / 8; n++) {
                *(float2 *)(y[r] + 8 * n + 2 * quad) = make_float2(out[n][2 * r] / sum[r], out[n][2 * r + 1] / sum[r]);
            }
        }
    }
};

template <int D, int WARPS, int TILE, bool SPLIT>
static __device__ __forceinline__ void fused_prefill(const float *q, const __half *k, const __half *v, float *y, int T, int C, int H,
                                                     int G, float scale) {
    extern __shared__ __align__(16) __half prefill_shared[]; // [2][keys, values][TILE][D]
    constexpr int HALF = TILE * D;

    const int g = blockIdx.y;
    const int group = H / G;
    const int rows = T * group;
    const int pos0 = C - T;
    const int stride = G * D;
    k += g * D;
    v += g * D;

    // Blocks start in order of their number: those with most to do come first.
    const int first_row = (gridDim.x - 1 - blockIdx.x) * 16 * WARPS;
    const int last_row = min(first_row + 16 * WARPS, rows) - 1;
    const int tiles = (pos0 + last_row / group) / TILE + 1;

    Prefill<D, WARPS, TILE, SPLIT> a;
    a.row = threadIdx.x % 32 / 4;
    a.quad = threadIdx.x % 4;
    const int warp_row = first_row + threadIdx.x / 32 * 16;
    const int warp_first_seen = pos0 + min(warp_row, rows - 1) / group;
    const int warp_last_seen = pos0 + min(warp_row + 15, rows - 1) / group;
    const float *from[2];
    float *to[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int row = warp_row + a.row + 8 * r;
        const int t = min(row, rows - 1) / group;
        const size_t at = ((size_t)t * H + g * group + row % group) * D;
        from[r] = row < rows ? q + at : nullptr;
        to[r] = row < rows ? y + at : nullptr;
        a.seen[r] = pos0 + t;
        a.largest[r] = no_score();
        a.sum[r] = 0.0f;
    }
#pragma unroll
    for (int n = 0; n < D / 8; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            a.out[n][i] = 0.0f;
        }
    }

    prefill_copy<D, WARPS, TILE>(prefill_shared, k, 0, C, stride);
    prefill_copy<D, WARPS, TILE>(prefill_shared + HALF, v, 0, C, stride);
    copies_end_group();
    a.load_queries(from, scale);
    for (int tile = 0; tile < tiles; tile++) {
        __half *const keys = prefill_shared + tile % 2 * 2 * HALF;
        __half *const next = prefill_shared + (tile + 1) % 2 * 2 * HALF;
        const int first = tile * TILE;
        if (tile + 1 < tiles) {
            prefill_copy<D, WARPS, TILE>(next, k, first + TILE, C, stride);
            prefill_copy<D, WARPS, TILE>(next + HALF, v, first + TILE, C, stride);
        }
        copies_end_group();
        copies_wait<1>(); // this tile is there, the next one may be on its way
        __syncthreads();
        if (first <= warp_last_seen) {
            float c[TILE / 8][4];
            a.score(c, keys);
            if (first + TILE - 1 > warp_first_seen) {
                a.mask(c, first);
            }
            a.weigh(c);
            a.accumulate(c, keys + HALF);
        }
        __syncthreads(); // before the tile after next overwrites this one
    }
    a.store(to);
}

// Heads of 64 elements.
// tap: kqv
extern "C" __global__ void __launch_bounds__(128) fused_prefill_64(const float *q, const __half *k, const __half *v, float *y, int T,
                                                                  int C, int H, int G, float scale) {
    fused_prefill<64, 4, 64, true>(q, k, v, y, T, C, H, G, scale);
}

// Heads of 128 elements.
// tap: kqv
extern "C" __global__ void __launch_bounds__(128) fused_prefill_128(const float *q, const __half *k, const __half *v, float *y, int T,
                                                                   int C, int H, int G, float scale) {
    fused_prefill<128, 4, 32, true>(q, k, v, y, T, C, H, G, scale);
}
