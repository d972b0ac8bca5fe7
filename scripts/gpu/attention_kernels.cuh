// The kernels that the attention benchmark measures and how each is launched:
// ours as they are and in the sizes they could have, and what no decode can be
// faster than.
#pragma once

#include <string>

#include "../../ours/kernels/fused_decode.cu"
#include "../../ours/kernels/fused_prefill.cu"
#include "attention_time.cuh"

static unsigned short *pool; // f16, all sets of keys and values
static float *queries, *results, *partial;
static float2 *extremes;
static unsigned *tickets;

// How a kernel of ours is launched for a problem; pdl begins a launch before the
// one before it has ended.
struct Variant {
    const void *kernel;
    int warps, tile, shared;
    bool decode, pdl;
    int splits, most_splits; // of a decode
    std::string name;
};

static int units_of(const Problem &p) { return p.shape.G * ((p.shape.H / p.shape.G + DECODE_HEADS - 1) / DECODE_HEADS); }

template <int D, int WARPS, int TILE, int BLOCKS>
static __global__ void __launch_bounds__(32 * WARPS, BLOCKS)
    decode_kernel(const float *q, const __half *k, const __half *v, float *y, float *partial, float2 *extremes, unsigned *tickets,
                  int C, int H, int G, float scale) {
    fused_decode<D, WARPS, TILE>(q, k, v, y, partial, extremes, tickets, C, H, G, scale);
}

template <int D, int WARPS, int TILE, int BLOCKS, bool SPLIT>
static __global__ void __launch_bounds__(32 * WARPS, BLOCKS)
    prefill_kernel(const float *q, const __half *k, const __half *v, float *y, int T, int C, int H, int G, float scale) {
    fused_prefill<D, WARPS, TILE, SPLIT>(q, k, v, y, T, C, H, G, scale);
}

// What no decode can be faster than: the same bytes read and nothing done with
// them, and a launch of nothing.
static __global__ void __launch_bounds__(256)
    read_kernel(const float *, const __half *k, const __half *v, float *y, float *, float2 *, unsigned *, int C, int, int G, float D) {
    const size_t n = (size_t)C * G * (int)D / 8, threads = (size_t)gridDim.x * gridDim.y * blockDim.x;
    const size_t first = (blockIdx.x + (size_t)gridDim.x * blockIdx.y) * blockDim.x + threadIdx.x;
    uint4 all = make_uint4(0, 0, 0, 0);
#pragma unroll 4
    for (size_t i = first; i < n; i += threads) {
        const uint4 a = __ldg((const uint4 *)k + i), b = __ldg((const uint4 *)v + i);
        all = make_uint4(all.x ^ a.x ^ b.x, all.y ^ a.y ^ b.y, all.z ^ a.z ^ b.z, all.w ^ a.w ^ b.w);
    }
    if ((all.x ^ all.y ^ all.z ^ all.w) == 0x12345678u) {
        y[0] = 1; // hardly ever, but the compiler cannot know
    }
}

static __global__ void empty_kernel(const float *, const __half *, const __half *, float *, float *, float2 *, unsigned *, int, int,
                                    int, float) {}

template <int D, int WARPS, int TILE> static Variant decode_by(const void *kernel, const char *name) {
    return {kernel, WARPS, TILE, DecodeSizes<D, WARPS>::SHARED, true, false, 1, DecodeSizes<D, WARPS>::SPLITS, name};
}

template <int D, int WARPS, int TILE> static Variant prefill_by(const void *kernel, const char *name) {
    return {kernel, WARPS, TILE, PrefillSizes<D, TILE>::SHARED, false, false, 1, 1, name};
}

template <int D, int WARPS, int TILE, int BLOCKS> static Variant decode_variant() {
    char name[80];
    snprintf(name, sizeof(name), "decode, %d warps, %d positions, %d blocks", WARPS, TILE, BLOCKS);
    return decode_by<D, WARPS, TILE>((const void *)decode_kernel<D, WARPS, TILE, BLOCKS>, name);
}

template <int D, int WARPS, int TILE, int BLOCKS, bool SPLIT> static Variant prefill_variant() {
    char name[80];
    snprintf(name, sizeof(name), "prefill, %d warps, %d positions, %d blocks%s", WARPS, TILE, BLOCKS,
             SPLIT ? "" : ", f16 operands");
    return prefill_by<D, WARPS, TILE>((const void *)prefill_kernel<D, WARPS, TILE, BLOCKS, SPLIT>, name);
}

// The kernels as ours/qwen2/fused.go launches them, with as many splits.
static Variant production(const Problem &p) {
    if (p.T > 1) {
        return p.shape.D == 64 ? prefill_by<64, 4, 64>((const void *)fused_prefill_64, "prefill")
                               : prefill_by<128, 4, 32>((const void *)fused_prefill_128, "prefill");
    }
    Variant v = p.shape.D == 64 ? decode_by<64, 8, 64>((const void *)fused_decode_64, "decode")
                                : decode_by<128, 8, 16>((const void *)fused_decode_128, "decode");
    const int tiles = (p.C + v.tile - 1) / v.tile;
    const int useful = std::max((tiles + v.warps - 1) / v.warps, std::min(tiles / 2, 16));
    v.splits = std::max(1, std::min({gpu.multiProcessorCount / units_of(p), useful, v.most_splits}));
    return v;
}

static void launch(const Variant &v, const Problem &p, const Series &s, int i) {
    const __half *k = (const __half *)pool + (size_t)(i % s.sets) * 2 * p.side();
    const __half *values = k + p.side();
    int T = p.T, C = p.C, H = p.shape.H, G = p.shape.G;
    float scale = v.kernel == (const void *)read_kernel ? (float)p.shape.D : p.scale();
    void *decode[] = {&queries, &k, &values, &results, &partial, &extremes, &tickets, &C, &H, &G, &scale};
    void *prefill[] = {&queries, &k, &values, &results, &T, &C, &H, &G, &scale};
    cudaLaunchConfig_t config = {};
    config.gridDim = v.decode ? dim3(v.splits, G, units_of(p) / G) : dim3((T * (H / G) + 16 * v.warps - 1) / (16 * v.warps), G);
    config.blockDim = dim3(32 * v.warps);
    config.dynamicSmemBytes = v.shared;
    config.stream = stream;
    cudaLaunchAttribute early = {};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &early;
    config.numAttrs = v.pdl ? 1 : 0;
    CHECK(cudaLaunchKernelExC(&config, v.kernel, v.decode ? decode : prefill));
}

static cudaGraphExec_t capture(const Variant &v, const Problem &p, const Series &s) {
    if (v.shared > 48 << 10) {
        CHECK(cudaFuncSetAttribute(v.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, v.shared));
    }
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    for (int i = 0; i < s.launches; i++) {
        launch(v, p, s, i);
    }
    CHECK(cudaStreamEndCapture(stream, &graph));
    CHECK(cudaGraphInstantiateWithFlags(&exec, graph, 0));
    CHECK(cudaGraphDestroy(graph));
    return exec;
}
