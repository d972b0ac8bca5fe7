// Attention of one new token over the whole cache, in one launch: scores, scale,
// softmax and weighted sum, without a score in memory (Dao et al., "Flash-Decoding
// for long-context inference"; Milakov and Gimelshein, arXiv:1805.02867):
//
//     y[h,d] = sum_c p[h,c] * v[c,g,d]       p[h,:] = softmax(scale * q[h,:] . k[:,g,:])
//     g = h / (H/G)
//
//     q, y     [H,D]    f32, D = 64 or 128
//     k, v     [C,G,D]  f16, one layer of the cache; rows from C on are not read
//     partial  [splits,H,D], extremes [splits,H]: results of the splits, see below
//     tickets  [G, ceil(H/G/8)]  0 before the launch and after it
//     scale    1/sqrt(D)
//
// The positions are cut into splits, one block each, so that a long cache keeps
// every multiprocessor busy. A unit is one KV head with up to 8 of its query
// heads; all of them use each key and value while it is in registers, so the
// cache is read once. The block of a unit that finishes last adds up the splits.
//
// A warp takes TILE positions at a time. Query heads are the rows of an mma of 16
// rows: heads 0..7 with the high parts of what goes in as A (fused.cuh) and the
// same heads again with the low parts in rows 8..15, so that both cost one
// product, and lane 4*head + quad ends with the sums of both parts. Which key
// element is which column of the product does not matter as long as the query
// agrees, so keys come straight from global memory, 16 bytes a lane, in the
// order in which they lie; and values likewise, as an element's place among
// the columns of C is free too. Nothing is shared until a warp is through.
//
// Launch: grid (splits, G, ceil(H/G/8)), block (32*WARPS), and of DecodeSizes<D, WARPS>
// dynamic shared memory of SHARED bytes, at most SPLITS splits.

#include <cuda_fp16.h>

#include "fused.cuh"

constexpr int DECODE_HEADS = 8;  // query heads of a unit, at most
constexpr int DECODE_BATCH = 33; // splits whose sums a thread loads at a time: all that 132 multiprocessors make

// Sizes that follow from those of a kernel.
template <int D, int WARPS> struct DecodeSizes {
    static constexpr int THREADS = 32 * WARPS;
    // Bytes of dynamic shared memory: each warp's sums, maxima and denominators.
    static constexpr int SHARED = WARPS * DECODE_HEADS * (D + 2) * (int)sizeof(float);
    // A unit's result in float4, and how many threads there are for each.
    static constexpr int COLUMNS = DECODE_HEADS * D / 4;
    static constexpr int GROUPS = THREADS / COLUMNS;
    static_assert(GROUPS > 0, "a thread for each column");
    // The most splits whose shares fit into that memory beside the groups' sums.
    static constexpr int SPLITS = (SHARED / (int)sizeof(float) - GROUPS * COLUMNS * 4) / DECODE_HEADS;
};

// The running state of an online softmax: the largest score so far (as a power
// of two's exponent) and the sum of the weights relative to it.
struct DecodeState {
    float largest, sum;
};

// exp2(a - b), where a state that saw no position has weight 0.
static __device__ __forceinline__ float decode_weight(float a, float b) { return a == no_score() ? 0.0f : power_of_two(a - b); }

template <int D, int WARPS, int TILE> struct Decode {
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

// Adds up a block's warps, a warp for each head. A lone split writes y, others
// their part of partial and extremes.
template <int D, int WARPS>
static __device__ __forceinline__ void decode_join_warps(const float *sums, const DecodeState *states, float *y, float *partial,
                                                         float2 *extremes, int heads) {
    const int lane = threadIdx.x % 32;
    for (int head = threadIdx.x / 32; head < heads; head += WARPS) {
        // Lane w weighs warp w.
        DecodeState s = {no_score(), 0.0f};
        if (lane < WARPS) {
            s = states[lane * DECODE_HEADS + head];
        }
        float largest = s.largest;
#pragma unroll
        for (int offset = 16; offset > 0; offset /= 2) {
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
        }
        const float weight = decode_weight(s.largest, largest);
        float sum = weight * s.sum;
#pragma unroll
        for (int offset = 16; offset > 0; offset /= 2) {
            sum += __shfl_xor_sync(0xffffffffu, sum, offset);
        }
        float out[D / 32] = {};
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            const float of_warp = __shfl_sync(0xffffffffu, weight, w);
#pragma unroll
            for (int i = 0; i < D / 32; i++) {
                out[i] += of_warp * sums[(w * DECODE_HEADS + head) * D + 32 * i + lane];
            }
        }
#pragma unroll
        for (int i = 0; i < D / 32; i++) {
            if (gridDim.x == 1) {
                y[head * D + 32 * i + lane] = out[i] / sum;
            } else {
                partial[head * D + 32 * i + lane] = out[i];
            }
        }
        if (gridDim.x > 1 && lane == 0) {
            extremes[head] = make_float2(largest, sum);
        }
    }
}

// Adds up a unit's splits, in their order whatever the order of the blocks was.
template <int D, int WARPS>
static __device__ __forceinline__ void decode_join_splits(float *shared, float *y, const float *partial, const float2 *extremes, int heads,
                                                          int H, int splits) {
    constexpr int COLUMNS = DecodeSizes<D, WARPS>::COLUMNS, GROUPS = DecodeSizes<D, WARPS>::GROUPS;
    float *const shares = shared;                                   // [splits][heads]
    float4 *const totals = (float4 *)(shared + DECODE_HEADS * splits); // [GROUPS][COLUMNS]

    // A thread adds up 4 elements of the result over every GROUPS-th split, a batch
    // of them at a time. The first one is under way while the shares are computed.
    const int column = threadIdx.x % COLUMNS, group = threadIdx.x / COLUMNS;
    const int head = column / (D / 4);
    const bool busy = group < GROUPS && head < heads;
    const float4 *const from = (const float4 *)partial + column;
    const unsigned stride = H * D / 4; // from split to split
    float4 batch[DECODE_BATCH];
    const auto load_batch = [&](int first) {
#pragma unroll
        for (int i = 0; i < DECODE_BATCH; i++) {
            if (busy && first + i * GROUPS < splits) {
                batch[i] = __ldcg(from + (first + i * GROUPS) * stride);
            }
        }
    };
    load_batch(group);

    // Each split's share of the result.
    const int lane = threadIdx.x % 32;
    for (int h = threadIdx.x / 32; h < heads; h += WARPS) {
        float largest = no_score();
        for (int s = lane; s < splits; s += 32) {
            largest = fmaxf(largest, __ldcg(&extremes[(size_t)s * H + h]).x);
        }
        for (int offset = 16; offset > 0; offset /= 2) {
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
        }
        float sum = 0.0f;
        for (int s = lane; s < splits; s += 32) {
            const float2 e = __ldcg(&extremes[(size_t)s * H + h]);
            const float weight = decode_weight(e.x, largest);
            shares[s * DECODE_HEADS + h] = weight;
            sum += weight * e.y;
        }
        for (int offset = 16; offset > 0; offset /= 2) {
            sum += __shfl_xor_sync(0xffffffffu, sum, offset);
        }
        const float inverse = 1.0f / sum;
        for (int s = lane; s < splits; s += 32) {
            shares[s * DECODE_HEADS + h] *= inverse;
        }
    }
    __syncthreads();

    if (busy) {
        float4 t = make_float4(0, 0, 0, 0);
        for (int first = group; first < splits; first += DECODE_BATCH * GROUPS) {
            if (first != group) {
                load_batch(first);
            }
#pragma unroll
            for (int i = 0; i < DECODE_BATCH; i++) {
                const int s = first + i * GROUPS;
                if (s < splits) {
                    const float share = shares[s * DECODE_HEADS + head];
                    const float4 x = batch[i];
                    t = make_float4(fmaf(share, x.x, t.x), fmaf(share, x.y, t.y), fmaf(share, x.z, t.z), fmaf(share, x.w, t.w));
                }
            }
        }
        totals[threadIdx.x] = t;
    }
    __syncthreads();
    if (busy && group == 0) {
        float4 t = totals[column];
#pragma unroll
        for (int i = 1; i < GROUPS; i++) {
            const float4 x = totals[i * COLUMNS + column];
            t = make_float4(t.x + x.x, t.y + x.y, t.z + x.z, t.w + x.w);
        }
        ((float4 *)y)[column] = t;
    }
}

template <int D, int WARPS, int TILE>
static __device__ __forceinline__ void fused_decode(const float *q, const __half *k, const __half *v, float *y, float *partial,
                                                    float2 *extremes, unsigned *tickets, int C, int H, int G, float scale) {
    extern __shared__ __align__(16) float decode_shared[];
    float *const sums = decode_shared; // [WARPS][heads][D]
    DecodeState *const states = (DecodeState *)(decode_shared + WARPS * DECODE_HEADS * D); // [WARPS][heads]

    const int warp = threadIdx.x / 32;
    const int split = blockIdx.x, splits = gridDim.x;
    const int g = blockIdx.y;

    // The first splits have one tile more where it does not come out even.
    const unsigned tiles = ((unsigned)C + TILE - 1) / TILE;
    const unsigned share = tiles / splits, more = tiles % splits;
    const int begin = split * share + min((unsigned)split, more);
    const int end = begin + share + ((unsigned)split < more);

    Decode<D, WARPS, TILE> a;
    a.row = threadIdx.x % 32 / 4;
    a.quad = threadIdx.x % 4;
    a.k = (const char *)(k + g * D + 8 * a.quad);
    a.v = (const char *)(v + g * D + 8 * a.row);
    a.C = C;
    a.stride = G * D * (int)sizeof(__half);
    a.state = {no_score(), 0.0f};
#pragma unroll
    for (int n = 0; n < D / 8; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            a.out[n][i] = 0.0f;
        }
    }
    // A launch may begin while the kernel before it still runs. All positions but
    // the last were written by earlier steps, so loads need not wait for it.
    next_kernel_may_begin();
    int tile = begin + warp;
    const bool written = (tile + 1) * TILE < C;
    if (tile < end && written) {
        a.load_keys(tile);
        a.load_values(tile);
    }
    const int group = H / G;
    const int first_head = g * group + blockIdx.z * DECODE_HEADS;
    const int heads = min(DECODE_HEADS, (g + 1) * group - first_head);
    previous_kernel_has_ended();
    if (tile < end && !written) {
        a.load_keys(tile);
        a.load_values(tile);
    }
    if (tile < end) {
        a.load_query(q + (size_t)(first_head + a.row) * D, a.row < heads, scale);
    }
    // The next tile's loads start as soon as the registers are free.
    while (tile < end) {
        float s[TILE / 8][2];
        a.score(s, tile);
        const int next = tile + WARPS;
        if (next < end) {
            a.load_keys(next);
        }
        a.weigh(s);
        a.accumulate(s);
        if (next < end) {
            a.load_values(next);
        }
        tile = next;
    }
    a.leave(sums + warp * DECODE_HEADS * D, states + warp * DECODE_HEADS);
    __syncthreads();

    y += (size_t)first_head * D;
    partial += (size_t)first_head * D;
    extremes += first_head;
    decode_join_warps<D, WARPS>(sums, states, y, partial + (size_t)split * H * D, extremes + (size_t)split * H, heads);
    if (splits == 1) {
        return;
    }
    // Whoever takes the unit's last ticket sees what the others wrote before
    // they took theirs (CUDA C++ Programming Guide, "Memory Fence Functions").
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    unsigned *const ticket = tickets + g * gridDim.z + blockIdx.z;
    if (threadIdx.x == 0) {
        last = atomicAdd(ticket, 1u) == (unsigned)splits - 1;
    }
    __syncthreads();
    if (!last) {
        return;
    }
    __threadfence();
    if (threadIdx.x == 0) {
        *ticket = 0; // for the next launch
    }
    decode_join_splits<D, WARPS>(decode_shared, y, partial, extremes, heads, H, splits);
}

// Heads of 64 elements.
// tap: kqv
extern "C" __global__ void __launch_bounds__(256) fused_decode_64(const float *q, const __half *k, const __half *v, float *y,
                                                                 float *partial, float2 *extremes, unsigned *tickets, int C, int H,
                                                                 int G, float scale) {
    fused_decode<64, 8, 32>(q, k, v, y, partial, extremes, tickets, C, H, G, scale);
}

// Heads of 128 elements.
// tap: kqv
extern "C" __global__ void __launch_bounds__(256) fused_decode_128(const float *q, const __half *k, const __half *v, float *y,
                                                                  float *partial, float2 *extremes, unsigned *tickets, int C, int H,
                                                                  int G, float scale) {
    fused_decode<128, 8, 16>(q, k, v, y, partial, extremes, tickets, C, H, G, scale);
}
