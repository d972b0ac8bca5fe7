// Times our fused attention kernels (ours/kernels/fused_*.cu, the same text that
// NVRTC compiles) on one GPU, beside a copy through device memory and, where
// ggml-cuda is built, beside llama.cpp's flash attention on the same data.
//
//     attention_bench [--sweep] [--out FILE]
//
// A measurement is a CUDA graph of many launches of one problem, replayed and
// timed by CUDA events around each replay: the median over the replays divided
// by the launches. It holds what lies between two launches of a stream too: the
// gap from kernel to kernel, and a second kernel where a side has one. Sides take
// turns replay by replay, after warm-up. Data are random.
//
//   cold  every launch reads keys and values of its own; between two uses of one
//         set lies more than three times the L2 cache, so they come from memory
//   warm  every launch reads the same set, which stays in L2 if it fits
//
// Before it is timed each result is compared with a plain kernel in double; a
// wrong one ends the program with status 1.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "attention_bench.h"
#include "attention_kernels.cuh"
#include "attention_plain.cuh"
#include "attention_time.cuh"

float Problem::scale() const { return (float)(1.0 / sqrt((double)shape.D)); }

static size_t pool_elements;
static float *expected;
static bool with_llama;

// Rows to check: all of a decode, some of a prefill.
static std::vector<int> rows_of(const Problem &p) {
    std::vector<int> rows;
    for (int i = 0; i < std::min(p.T * p.shape.H, 64); i++) {
        rows.push_back((int)((long long)i * 7919 * 31 % ((long long)p.T * p.shape.H)));
        if (p.T == 1) {
            rows.back() = i;
        }
    }
    return rows;
}

// NMSE of results on the host or the device against the plain kernel's, for the
// set that the last launch read.
static double error_of(const Problem &p, const float *y, int set) {
    const std::vector<int> rows = rows_of(p);
    const int D = p.shape.D;
    int *device_rows;
    double *scores;
    CHECK(cudaMalloc(&device_rows, rows.size() * sizeof(int)));
    CHECK(cudaMalloc(&scores, rows.size() * p.C * sizeof(double)));
    CHECK(cudaMemcpy(device_rows, rows.data(), rows.size() * sizeof(int), cudaMemcpyHostToDevice));
    const __half *const k = (const __half *)pool + (size_t)set * 2 * p.side();
    plain_attention<<<(int)rows.size(), 256, 0, stream>>>(queries, k, k + p.side(), expected, device_rows, scores, p.T, p.C, p.shape.H,
                                                          p.shape.G, D, 1.0 / sqrt((double)D));
    CHECK(cudaGetLastError());
    CHECK(cudaStreamSynchronize(stream));
    std::vector<float> want(rows.size() * D), got(p.queries());
    CHECK(cudaMemcpy(want.data(), expected, want.size() * sizeof(float), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(got.data(), y, got.size() * sizeof(float), cudaMemcpyDefault));
    double off = 0, energy = 0;
    for (size_t i = 0; i < rows.size(); i++) {
        for (int d = 0; d < D; d++) {
            const double w = want[i * D + d], e = got[(size_t)rows[i] * D + d] - w;
            off += e * e;
            energy += w * w;
        }
    }
    CHECK(cudaFree(device_rows));
    CHECK(cudaFree(scores));
    return off / energy;
}

// Runs a graph once on poisoned results and checks them.
static double verified(const Variant &v, const Problem &p, const Series &s, cudaGraphExec_t exec) {
    fill_float<<<256, 256, 0, stream>>>(results, p.queries(), NAN);
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaStreamSynchronize(stream));
    const double e = error_of(p, results, (s.launches - 1) % s.sets);
    const bool rounded = v.name.find("f16 operands") != std::string::npos;
    if (!(e <= (rounded ? 1e-6 : 1e-10))) {
        fprintf(stderr, "%s, D %d, T %d, C %d: wrong, NMSE %.3g\n", v.name.c_str(), p.shape.D, p.T, p.C, e);
        exit(1);
    }
    return e;
}

// As many launches as make about two milliseconds, as many sets as the pool holds.
static Series series(const Problem &p, bool cold) {
    const double guess = 4 + p.kv_bytes() / 2.5e6 + 4.0 * p.shape.H * p.shape.D * p.T * (p.C - p.T / 2.0) / 1.5e8;
    const int launches = std::max(4, std::min(400, (int)(2500 / guess)));
    const int fit = (int)(pool_elements / (2 * p.side()));
    return {launches, cold ? std::max(1, std::min(fit, launches)) : 1};
}

static FILE *out;
static const char *separator = "";

static void print_times(const char *key, const Times &t) {
    fprintf(out, ", \"%s\": {\"median\": %.3f, \"fastest\": %.3f, \"slowest\": %.3f}", key, t.median, t.fastest, t.slowest);
}

// Measures a problem with our production kernel and llama.cpp's, and prints it.
static void measure(const Problem &p, double copy, const std::vector<float> &host_queries) {
    Variant v = production(p);
    fprintf(out, "%s\n    {\"shape\": \"%s\", \"heads\": %d, \"kv_heads\": %d, \"head_dim\": %d", separator, p.shape.name.c_str(),
            p.shape.H, p.shape.G, p.shape.D);
    fprintf(out, ", \"tokens\": %d, \"context\": %d", p.T, p.C);
    separator = ",";
    if (v.decode) {
        fprintf(out, ", \"splits\": %d, \"kv_bytes\": %.0f", v.splits, p.kv_bytes());
    }
    fprintf(stderr, "%-14s T %5d C %6d:", p.shape.name.c_str(), p.T, p.C);
    for (const bool cold : {true, false}) {
        if (!cold && !v.decode) {
            continue; // a prefill computes more than it reads
        }
        const Series s = series(p, cold);
        const char *const name = cold ? "cold" : "warm";
        std::vector<std::pair<cudaGraphExec_t, cudaStream_t>> graphs;
        graphs.push_back({capture(v, p, s), stream});
        const double nmse = verified(v, p, s, graphs[0].first);
        Variant early = v;
        early.pdl = true;
        if (v.decode) {
            graphs.push_back({capture(early, p, s), stream});
            verified(early, p, s, graphs[1].first);
            Variant floor = v;
            floor.shared = 0;
            floor.kernel = (const void *)empty_kernel;
            graphs.push_back({capture(floor, p, s), stream});
            floor.kernel = (const void *)read_kernel;
            floor.splits = 8 * gpu.multiProcessorCount / units_of(p);
            graphs.push_back({capture(floor, p, s), stream});
        }
        double llama_nmse = 0;
#ifdef WITH_LLAMA
        if (with_llama) {
            graphs.push_back({llama_capture(p, s, host_queries), llama_stream()});
            CHECK(cudaGraphLaunch(graphs.back().first, graphs.back().second));
            CHECK(cudaStreamSynchronize(graphs.back().second));
            llama_nmse = error_of(p, llama_result(p).data(), (s.launches - 1) % s.sets);
        }
#endif
        const std::vector<Times> times = replay(graphs, s.launches, 31);
        fprintf(out, ",\n     \"%s\": {\"launches\": %d, \"sets\": %d, \"ours_nmse\": %.3g", name, s.launches, s.sets, nmse);
        print_times("ours_us", times[0]);
        const double gbs = p.kv_bytes() / times[0].median / 1e3;
        double flops = 0;
        for (int t = 0; t < p.T; t++) {
            flops += 4.0 * p.shape.H * p.shape.D * (p.C - p.T + t + 1);
        }
        if (v.decode) {
            fprintf(out, ", \"ours_gb_s\": %.1f, \"share_of_copy\": %.4f", gbs, gbs / copy);
            print_times("ours_early_us", times[1]);
            fprintf(out, ", \"early_share_of_copy\": %.4f", p.kv_bytes() / times[1].median / 1e3 / copy);
            print_times("empty_us", times[2]);
            print_times("read_us", times[3]);
            fprintf(stderr, "  %s %.2f us, %.0f GB/s, %.1f %% of copy, early %.2f us, %.1f %%", name, times[0].median, gbs, 100 * gbs / copy,
                    times[1].median, 100 * p.kv_bytes() / times[1].median / 1e3 / copy);
            fprintf(stderr, ", read alone %.2f us, nothing %.2f us", times[3].median, times[2].median);
        } else {
            fprintf(out, ", \"ours_tflops\": %.1f", flops / times[0].median / 1e6);
            fprintf(stderr, "  %.1f us, %.1f TFLOP/s", times[0].median, flops / times[0].median / 1e6);
        }
        if (with_llama) {
            print_times("llama_us", times.back());
            fprintf(out, ", \"llama_nmse\": %.3g, \"speedup\": %.3f", llama_nmse, times.back().median / times[0].median);
            fprintf(stderr, ", llama %.2f us (x%.2f), nmse %.1e, llama %.1e", times.back().median,
                    times.back().median / times[0].median, nmse, llama_nmse);
        } else {
            fprintf(stderr, ", nmse %.1e", nmse);
        }
        fprintf(out, "}");
        for (auto &g : graphs) {
            CHECK(cudaGraphExecDestroy(g.first));
        }
    }
    fprintf(out, "}");
    fprintf(stderr, "\n");
}

// Measures one variant of a kernel, cold, and prints it.
static void sweep_one(const Variant &v, const Problem &p) {
    cudaFuncAttributes attributes;
    CHECK(cudaFuncGetAttributes(&attributes, v.kernel));
    const Series s = series(p, true);
    const cudaGraphExec_t exec = capture(v, p, s);
    verified(v, p, s, exec);
    const Times t = replay({{exec, stream}}, s.launches, 9)[0];
    CHECK(cudaGraphExecDestroy(exec));
    fprintf(out, "%s\n    {\"kernel\": \"%s\", \"head_dim\": %d, \"registers\": %d, \"spilled_bytes\": %d", separator, v.name.c_str(),
            p.shape.D, attributes.numRegs, (int)attributes.localSizeBytes);
    fprintf(out, ", \"tokens\": %d, \"context\": %d, \"splits\": %d", p.T, p.C, v.splits);
    print_times("us", t);
    fprintf(out, "}");
    separator = ",";
    fprintf(stderr, "%-40s D %3d regs %3d spill %4d T %5d C %6d splits %3d: %8.2f us\n", v.name.c_str(), p.shape.D,
            attributes.numRegs, (int)attributes.localSizeBytes, p.T, p.C, v.splits, t.median);
}

static const Shape small = {"qwen2.5-0.5b", 14, 2, 64}, large = {"qwen2.5-7b", 28, 4, 128};

// The sizes that were chosen among: kernels by warps and tile, decodes by splits.
static void sweep() {
    const std::vector<Variant> decode64 = {decode_variant<64, 8, 16, 1>(), decode_variant<64, 8, 16, 2>(),
                                           decode_variant<64, 8, 32, 1>(), decode_variant<64, 8, 64, 1>()};
    const std::vector<Variant> decode128 = {decode_variant<128, 8, 16, 1>()};
    for (const Shape &shape : {small, large}) {
        for (Variant v : shape.D == 64 ? decode64 : decode128) {
            for (const int C : {1024, 4096, 16384, 65536, 131072}) {
                const Problem p = {shape, 1, C};
                if (2 * p.side() > pool_elements || (shape.D == 128 && C != 4096 && C != 65536)) {
                    continue;
                }
                for (const int n : {1, 4, 8, 16, 22, 33, 44, 66, 132}) {
                    const bool idle = n * units_of(p) < gpu.multiProcessorCount / 2 && C > 4096; // with much to do
                    if (n <= v.most_splits && n * 2 * v.tile <= C && !idle) {
                        v.splits = n;
                        sweep_one(v, p);
                    }
                }
            }
        }
    }
    const std::vector<Variant> prefill64 = {prefill_variant<64, 4, 64, 1, true>(), prefill_variant<64, 8, 64, 1, true>(),
                                            prefill_variant<64, 4, 64, 1, false>()};
    const std::vector<Variant> prefill128 = {prefill_variant<128, 4, 32, 1, true>(), prefill_variant<128, 4, 32, 1, false>()};
    for (const Shape &shape : {small, large}) {
        for (const Variant &v : shape.D == 64 ? prefill64 : prefill128) {
            for (const int T : {512, 2048, 8192}) {
                sweep_one(v, {shape, T, T});
            }
        }
    }
}

int main(int argc, char **argv) {
    bool sweeping = false;
    out = stdout;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--sweep") == 0) {
            sweeping = true;
        } else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc) {
            out = fopen(argv[++i], "w");
            if (out == nullptr) {
                perror(argv[i]);
                return 2;
            }
        } else {
            fprintf(stderr, "usage: attention_bench [--sweep] [--out FILE]\n");
            return 2;
        }
    }
    CHECK(cudaGetDeviceProperties(&gpu, 0));
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    int driver, runtime;
    CHECK(cudaDriverGetVersion(&driver));
    CHECK(cudaRuntimeGetVersion(&runtime));
    const Copy copies = copy_bandwidth();
    const double copy = copies.best();

    pool_elements = 512ull << 20 >> 1;
#ifdef WITH_LLAMA
    pool = llama_open(pool_elements);
    with_llama = pool != nullptr;
#endif
    if (pool == nullptr) {
        CHECK(cudaMalloc(&pool, pool_elements * sizeof(*pool)));
    }
    fill_half<<<4096, 256, 0, stream>>>((__half *)pool, pool_elements);
    const size_t most = 8192ull * 28 * 128, most_splits = 1024;
    CHECK(cudaMalloc(&queries, most * sizeof(float)));
    CHECK(cudaMalloc(&results, most * sizeof(float)));
    CHECK(cudaMalloc(&expected, 64 * 128 * sizeof(float)));
    CHECK(cudaMalloc(&partial, most_splits * 28 * 128 * sizeof(float)));
    CHECK(cudaMalloc(&extremes, most_splits * 28 * sizeof(float2)));
    CHECK(cudaMalloc(&tickets, 64 * sizeof(unsigned)));
    CHECK(cudaMemset(tickets, 0, 64 * sizeof(unsigned)));
    fill_float<<<1024, 256, 0, stream>>>(queries, most, 2.0f);
    CHECK(cudaStreamSynchronize(stream));
    std::vector<float> host_queries(most);
    CHECK(cudaMemcpy(host_queries.data(), queries, most * sizeof(float), cudaMemcpyDeviceToHost));

    fprintf(stderr, "%s, %d multiprocessors, L2 %.0f MB, copy %.0f GB/s by the driver, %.0f by a kernel, llama.cpp %s\n",
            gpu.name, gpu.multiProcessorCount, gpu.l2CacheSize / 1e6, copies.driver, copies.kernel, with_llama ? "present" : "absent");
    fprintf(out, "{\n  \"schema\": 1,\n  \"machine\": {\"gpu\": \"%s\", \"multiprocessors\": %d, \"l2_bytes\": %d", gpu.name,
            gpu.multiProcessorCount, gpu.l2CacheSize);
    fprintf(out, ", \"cuda_driver\": %d, \"cuda_runtime\": %d},\n", driver, runtime);
    fprintf(out, "  \"copy_gb_s\": %.1f, \"driver_copy_gb_s\": %.1f, \"kernel_copy_gb_s\": %.1f,\n", copy, copies.driver, copies.kernel);
    fprintf(out, "  \"decode\": [");
    for (const int C : {1024, 4096, 16384, 65536, 131072}) {
        measure({small, 1, C}, copy, host_queries);
    }
    for (const int C : {4096, 65536}) {
        measure({large, 1, C}, copy, host_queries);
    }
    fprintf(out, "\n  ],\n  \"prefill\": [");
    separator = "";
    for (const int T : {512, 2048, 8192}) {
        measure({small, T, T}, copy, host_queries);
    }
    for (const int T : {2048}) {
        measure({large, T, T}, copy, host_queries);
    }
    fprintf(out, "\n  ]");
    if (sweeping) {
        fprintf(out, ",\n  \"sweep\": [");
        separator = "";
        sweep();
        fprintf(out, "\n  ]");
    }
    fprintf(out, "\n}\n");
    if (fclose(out) != 0) {
        perror("attention_bench: writing");
        return 1;
    }
    return 0;
}
