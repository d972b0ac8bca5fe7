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
// Launch: grid (splits, G, ceil(H/G/8)), block (32*WARPS), and of DecodeSizes<D, WARPS>
// dynamic shared memory of SHARED bytes, at most SPLITS splits.

#include <cuda_fp16.h>

#include "fused_decode_join.cuh"

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

    Decode<D, TILE> a;
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
    // the last were written by earlier steps, so loads need not wait for it; the
    // warp that begins with the last one waits.
    next_kernel_may_begin();
    int tile = begin + warp;
    if ((tile + 1) * TILE >= C) {
        previous_kernel_has_ended();
    }
    if (tile < end) {
        a.load_keys(tile);
        a.load_values(tile);
    }
    const int group = H / G;
    const int first_head = g * group + blockIdx.z * DECODE_HEADS;
    const int heads = min(DECODE_HEADS, (g + 1) * group - first_head);
    previous_kernel_has_ended();
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
    // they took theirs.
    __shared__ bool last;
    __syncthreads();
    if (threadIdx.x == 0) {
        unsigned *const ticket = tickets + g * gridDim.z + blockIdx.z;
        last = count_up(ticket) == (unsigned)splits - 1;
        if (last) {
            *ticket = 0; // for the next launch
        }
    }
    __syncthreads();
    if (!last) {
        return;
    }
    decode_join_splits<D, WARPS>(decode_shared, y, partial, extremes, heads, H, splits);
}

// Heads of 64 elements.
// tap: kqv
extern "C" __global__ void __launch_bounds__(256) fused_decode_64(const float *q, const __half *k, const __half *v, float *y,
                                                                 float *partial, float2 *extremes, unsigned *tickets, int C, int H,
                                                                 int G, float scale) {
    fused_decode<64, 8, 64>(q, k, v, y, partial, extremes, tickets, C, H, G, scale);
}

// Heads of 128 elements.
// tap: kqv
extern "C" __global__ void __launch_bounds__(256) fused_decode_128(const float *q, const __half *k, const __half *v, float *y,
                                                                  float *partial, float2 *extremes, unsigned *tickets, int C, int H,
                                                                  int G, float scale) {
    fused_decode<128, 8, 16>(q, k, v, y, partial, extremes, tickets, C, H, G, scale);
}
