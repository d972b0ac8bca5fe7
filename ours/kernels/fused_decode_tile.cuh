// A warp's part of the fused decode (fused_decode.cu): it takes TILE positions at
// a time. Query heads are the rows of an mma of 16 rows: heads 0..7 with the high
// parts of what goes in as A (fused.cuh) and the same heads again with the low
// parts in rows 8..15, so that both cost one product, and lane 4*head + quad ends
// with the sums of both parts. Which key element is which column of the product
// does not matter as long as the query agrees, so keys come straight from global
// memory, 16 bytes a lane, in the order in which they lie; and values likewise, as
// an element's place among the columns of C is free too. Nothing is shared until a
// warp is through.
#pragma once

#include <cuda_fp16.h>

#include "fused.cuh"

constexpr int DECODE_HEADS = 8; // query heads of a unit, at most

// The running state of an online softmax: the largest score so far (as a power
// of two's exponent) and the sum of the weights relative to it.
struct DecodeState {
    float largest, sum;
};

template <int D, int TILE> struct Decode {
    static constexpr int CHUNKS = D / 32; // of a key: 16 bytes for each of 4 lanes
    static constexpr int PARTS = D / 64;  // of a value: 16 bytes for each of 8 lanes

    // A tile in registers. Key [n][u]: position 8*n + row, elements 32*u + 8*quad
    // and on. Value [n][i][p]: position 16*n + {2*quad, 2*quad+1, 2*quad+8,
    // 2*quad+9}[i], elements 64*p + 8*row and on.
    uint4 key[TILE / 8][CHUNKS];
    uint4 value[TILE / 16][4][PARTS];

    unsigned query[2 * CHUNKS][4]; // A fragments
    float factor;                  // from a product to the exponent of its weight
    float out[D / 8][4];           // C fragments: sums of weighted values
    DecodeState state;             // of head row; the sum over this lane's columns only

    const char *k, *v; // of this KV head, where this lane's elements start
    int C, stride;     // positions; bytes from one to the next
    int row, quad;

    // Past the last position that one is read again; it gets no weight there.
    __device__ __forceinline__ uint4 load(const char *base, int position, int byte) const {
        return __ldg((const uint4 *)(base + (long long)min(position, C - 1) * stride + byte));
    }

    __device__ __forceinline__ void load_keys(int tile) {
#pragma unroll
        for (int n = 0; n < TILE / 8; n++) {
#pragma unroll
            for (int u = 0; u < CHUNKS; u++) {
                key[n][u] = load(k, tile * TILE + 8 * n + row, 64 * u);
            }
        }
    }

    __device__ __forceinline__ void load_values(int tile) {
#pragma unroll
        for (int n = 0; n < TILE / 16; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
#pragma unroll
                for (int p = 0; p < PARTS; p++) {
                    value[n][i][p] = load(v, tile * TILE + 16 * n + 2 * quad + i % 2 + i / 2 * 8, 128 * p);
                }
            }
        }
    }

    // The query of head row as A fragments; no such head is a row of zeros.
    __device__ __forceinline__ void load_query(const float *q, bool present, float scale) {
        float4 x[CHUNKS][2];
        float largest = 0.0f;
#pragma unroll
        for (int u = 0; u < CHUNKS; u++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                x[u][i] = present ? ((const float4 *)(q + 32 * u + 8 * quad))[i] : make_float4(0, 0, 0, 0);
                largest = fmaxf(largest, fmaxf(fmaxf(fabsf(x[u][i].x), fabsf(x[u][i].y)), fmaxf(fabsf(x[u][i].z), fabsf(x[u][i].w))));
            }
        }
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
        const float lift = query_lift(largest);
        factor = score_factor(scale, lift);
#pragma unroll
        for (int s = 0; s < 2 * CHUNKS; s++) {
            const float4 e = x[s / 2][s % 2];
            split_query(e.x * lift, e.y * lift, &query[s][0], &query[s][1]);
            split_query(e.z * lift, e.w * lift, &query[s][2], &query[s][3]);
        }
    }

    // Scores of head row at positions 8*n + 2*quad, +1 of a tile.
    __device__ __forceinline__ void score(float s[TILE / 8][2], int tile) const {
#pragma unroll
        for (int n = 0; n < TILE / 8; n++) {
            float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
            for (int u = 0; u < CHUNKS; u++) {
                mma_16x8x16(c, query[2 * u], key[n][u].x, key[n][u].y);
                mma_16x8x16(c, query[2 * u + 1], key[n][u].z, key[n][u].w);
            }
            s[n][0] = c[0] + c[2];
            s[n][1] = c[1] + c[3];
        }
        if ((tile + 1) * TILE > C) {
#pragma unroll
            for (int n = 0; n < TILE / 8; n++) {
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    if (tile * TILE + 8 * n + 2 * quad + i >= C) {
                        s[n][i] = no_score();
                    }
                }
            }
        }
    }

    // Turns scores into weights relative to the largest so far, to which what was
    // summed up before is brought too.
    __device__ __forceinline__ void weigh(float s[TILE / 8][2]) {
        float largest = s[0][0];
#pragma unroll
        for (int n = 0; n < TILE / 8; n++) {
            largest = fmaxf(largest, fmaxf(s[n][0], s[n][1]));
        }
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
        largest = fmaxf(state.largest, largest * factor);
        const float zero = largest == no_score() ? 0.0f : largest; // all -Inf so far: weights 0, not NaN
        const float keep = power_of_two(state.largest - zero);
        float sum = 0.0f;
#pragma unroll
        for (int n = 0; n < TILE / 8; n++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                s[n][i] = power_of_two(fmaf(s[n][i], factor, -zero));
                sum += s[n][i];
            }
        }
        state.largest = largest;
        state.sum = state.sum * keep + sum;
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                out[n][i] *= keep;
            }
        }
    }

    // Adds the tile's values times its weights.
    __device__ __forceinline__ void accumulate(const float s[TILE / 8][2]) {
#pragma unroll
        for (int n = 0; n < TILE / 16; n++) {
            unsigned a[4];
            split_weights(s[2 * n][0], s[2 * n][1], &a[0], &a[1]);
            split_weights(s[2 * n + 1][0], s[2 * n + 1][1], &a[2], &a[3]);
#pragma unroll
            for (int p = 0; p < PARTS; p++) {
                const uint4 *const x0 = &value[n][0][p], *const x1 = &value[n][1][p];
                const uint4 *const x2 = &value[n][2][p], *const x3 = &value[n][3][p];
                mma_16x8x16(out[8 * p + 0], a, low_halves(x0->x, x1->x), low_halves(x2->x, x3->x));
                mma_16x8x16(out[8 * p + 1], a, high_halves(x0->x, x1->x), high_halves(x2->x, x3->x));
                mma_16x8x16(out[8 * p + 2], a, low_halves(x0->y, x1->y), low_halves(x2->y, x3->y));
                mma_16x8x16(out[8 * p + 3], a, high_halves(x0->y, x1->y), high_halves(x2->y, x3->y));
                mma_16x8x16(out[8 * p + 4], a, low_halves(x0->z, x1->z), low_halves(x2->z, x3->z));
                mma_16x8x16(out[8 * p + 5], a, high_halves(x0->z, x1->z), high_halves(x2->z, x3->z));
                mma_16x8x16(out[8 * p + 6], a, low_halves(x0->w, x1->w), low_halves(x2->w, x3->w));
                mma_16x8x16(out[8 * p + 7], a, high_halves(x0->w, x1->w), high_halves(x2->w, x3->w));
            }
        }
    }

    // Leaves the warp's sums and state in shared memory.
    __device__ __forceinline__ void leave(float *sums, DecodeState *states) {
        state.sum += __shfl_xor_sync(0xffffffffu, state.sum, 1);
        state.sum += __shfl_xor_sync(0xffffffffu, state.sum, 2);
        if (quad == 0) {
            states[row] = state;
        }
        // Column 2*quad + i of out[8*p + e] is element 64*p + 8*(2*quad + i) + e.
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                float4 *const to = (float4 *)(sums + row * D + 64 * p + 8 * (2 * quad + i));
#pragma unroll
                for (int e = 0; e < 8; e += 4) {
                    to[e / 4] = make_float4(out[8 * p + e][i] + out[8 * p + e][i + 2], out[8 * p + e + 1][i] + out[8 * p + e + 1][i + 2],
                                            out[8 * p + e + 2][i] + out[8 * p + e + 2][i + 2],
                                            out[8 * p + e + 3][i] + out[8 * p + e + 3][i + 2]);
                }
            }
        }
    }
};
