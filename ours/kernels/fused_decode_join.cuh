// Where the parts of a fused decode (fused_decode.cu) come together: the warps of
// a block, and the splits of a unit.
#pragma once

#include "fused_decode_tile.cuh"

constexpr int DECODE_LANE = 5;    // splits of a lane, at most
constexpr int DECODE_BATCH = 11;  // splits in a batch of loads
constexpr int DECODE_BATCHES = 3; // batches in flight: all that 132 multiprocessors make

// Sizes that follow from those of a kernel.
template <int D, int WARPS> struct DecodeSizes {
    static constexpr int THREADS = 32 * WARPS;
    // Bytes of dynamic shared memory: each warp's sums, maxima and denominators.
    static constexpr int SHARED = WARPS * DECODE_HEADS * (D + 2) * (int)sizeof(float);
    // A unit's result in float4, and how many threads there are for each.
    static constexpr int COLUMNS = DECODE_HEADS * D / 4;
    static constexpr int GROUPS = THREADS / COLUMNS;
    static_assert(GROUPS > 0, "a thread for each column");
    // The most splits of a unit. Their shares lie in that memory beside the groups' sums.
    static constexpr int SPLITS = 32 * DECODE_LANE;
    static_assert((SPLITS * DECODE_HEADS + GROUPS * COLUMNS * 4) * (int)sizeof(float) <= SHARED, "room for the most splits");
};

// exp2(a - b), where a state that saw no position has weight 0.
static __device__ __forceinline__ float decode_weight(float a, float b) { return a == no_score() ? 0.0f : power_of_two(a - b); }

// Adds up a block's warps, a warp for each head. A lone split writes y, others
// their part of partial and extremes.
template <int D, int WARPS>
static __device__ __forceinline__ void decode_join_warps(const float *sums, const DecodeState *states, float *y, float *partial,
                                                         float2 *extremes, int heads) {
    const int lane = threadIdx.x % 32;
    for (int head = threadIdx.x / 32; head < heads; head += WARPS) {
        // Lane w weighs warp w; the lanes from WARPS on do the same again.
        const DecodeState s = states[lane % WARPS * DECODE_HEADS + head];
        float largest = s.largest;
#pragma unroll
        for (int offset = WARPS / 2; offset > 0; offset /= 2) {
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
        }
        const float weight = decode_weight(s.largest, largest);
        float sum = weight * s.sum;
#pragma unroll
        for (int offset = WARPS / 2; offset > 0; offset /= 2) {
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
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;

    // A warp has a head's shares to find, a lane every 32nd split of it.
    float2 extreme[DECODE_LANE];
    const auto load_extremes = [&](int h) {
#pragma unroll
        for (int i = 0; i < DECODE_LANE; i++) {
            const int s = lane + 32 * i;
            extreme[i] = h < heads && s < splits ? __ldcg(&extremes[(size_t)s * H + h]) : make_float2(no_score(), 0.0f);
        }
    };
    // A thread adds up 4 elements of the result over every GROUPS-th split. The first
    // loads are under way while the shares are computed. They come in batches, for
    // a branch skips those that few splits do not need.
    const int column = threadIdx.x % COLUMNS, group = threadIdx.x / COLUMNS;
    const int head = column / (D / 4);
    const bool busy = group < GROUPS && head < heads;
    const float4 *const from = (const float4 *)partial + column;
    const unsigned stride = H * D / 4; // from split to split
    float4 batch[DECODE_BATCHES][DECODE_BATCH];
    const auto load_batches = [&](int first) {
#pragma unroll
        for (int n = 0; n < DECODE_BATCHES; n++, first += DECODE_BATCH * GROUPS) {
            if (busy && first < splits) {
#pragma unroll
                for (int i = 0; i < DECODE_BATCH; i++) {
                    if (first + i * GROUPS < splits) {
                        batch[n][i] = __ldcg(from + (first + i * GROUPS) * stride);
                    }
                }
            }
        }
    };
    load_extremes(warp);
    load_batches(group);

    // Each split's share of the result.
    for (int h = warp; h < heads; h += WARPS) {
        if (h != warp) {
            load_extremes(h);
        }
        float largest = no_score();
#pragma unroll
        for (int i = 0; i < DECODE_LANE; i++) {
            largest = fmaxf(largest, extreme[i].x);
        }
#pragma unroll
        for (int offset = 16; offset > 0; offset /= 2) {
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
        }
        float sum = 0.0f;
#pragma unroll
        for (int i = 0; i < DECODE_LANE; i++) {
            extreme[i].x = decode_weight(extreme[i].x, largest);
            sum += extreme[i].x * extreme[i].y;
        }
#pragma unroll
        for (int offset = 16; offset > 0; offset /= 2) {
            sum += __shfl_xor_sync(0xffffffffu, sum, offset);
        }
        const float inverse = 1.0f / sum;
#pragma unroll
        for (int i = 0; i < DECODE_LANE; i++) {
            if (lane + 32 * i < splits) {
                shares[(lane + 32 * i) * DECODE_HEADS + h] = extreme[i].x * inverse;
            }
        }
    }
    __syncthreads();

    if (busy) {
        float4 t = make_float4(0, 0, 0, 0);
        for (int first = group; first < splits;) {
            if (first != group) {
                load_batches(first);
            }
#pragma unroll
            for (int n = 0; n < DECODE_BATCHES; n++, first += DECODE_BATCH * GROUPS) {
                if (first < splits) {
#pragma unroll
                    for (int i = 0; i < DECODE_BATCH; i++) {
                        const int s = first + i * GROUPS;
                        if (s < splits) {
                            const float share = shares[s * DECODE_HEADS + head];
                            const float4 x = batch[n][i];
                            t = make_float4(fmaf(share, x.x, t.x), fmaf(share, x.y, t.y), fmaf(share, x.z, t.z), fmaf(share, x.w, t.w));
                        }
                    }
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
