// How the attention benchmark takes times: graphs of many launches, replayed in
// turn between CUDA events; and the copy that everything is measured by.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "attention_bench.h"
#include "attention_plain.cuh"

static cudaDeviceProp gpu;
static cudaStream_t stream;

struct Times {
    double median, fastest, slowest; // microseconds a launch
};

// Replays graphs in turn, each on its stream.
static std::vector<Times> replay(const std::vector<std::pair<cudaGraphExec_t, cudaStream_t>> &graphs, int launches, int replays) {
    cudaEvent_t begin, end;
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
    std::vector<std::vector<double>> all(graphs.size());
    for (int r = -2; r < replays; r++) {
        for (size_t g = 0; g < graphs.size(); g++) {
            CHECK(cudaEventRecord(begin, graphs[g].second));
            CHECK(cudaGraphLaunch(graphs[g].first, graphs[g].second));
            CHECK(cudaEventRecord(end, graphs[g].second));
            CHECK(cudaEventSynchronize(end));
            float ms;
            CHECK(cudaEventElapsedTime(&ms, begin, end));
            if (r >= 0) { // the first two warm up
                all[g].push_back(1000.0 * ms / launches);
            }
        }
    }
    CHECK(cudaEventDestroy(begin));
    CHECK(cudaEventDestroy(end));
    std::vector<Times> times;
    for (auto &list : all) {
        std::sort(list.begin(), list.end());
        times.push_back({list[list.size() / 2], list.front(), list.back()});
    }
    return times;
}

static __global__ void __launch_bounds__(256) copy_kernel(uint4 *to, const uint4 *from, size_t n) {
    const size_t threads = (size_t)gridDim.x * blockDim.x;
#pragma unroll 4
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += threads) {
        to[i] = __ldg(from + i);
    }
}

struct Copy {
    double driver, kernel; // GB/s

    double best() const { return std::max(driver, kernel); }
};

// GB/s of copies of 2 GiB within device memory, bytes read and bytes written: the
// driver's and a kernel's.
static Copy copy_bandwidth() {
    const size_t bytes = 2ull << 30;
    void *from, *to;
    CHECK(cudaMalloc(&from, bytes));
    CHECK(cudaMalloc(&to, bytes));
    fill_half<<<1024, 256, 0, stream>>>((__half *)from, bytes / 2);
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream));
    CHECK(cudaStreamEndCapture(stream, &graph));
    CHECK(cudaGraphInstantiateWithFlags(&exec, graph, 0));
    CHECK(cudaGraphDestroy(graph));
    const Times driver = replay({{exec, stream}}, 1, 15)[0];
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    copy_kernel<<<16 * gpu.multiProcessorCount, 256, 0, stream>>>((uint4 *)to, (const uint4 *)from, bytes / sizeof(uint4));
    CHECK(cudaStreamEndCapture(stream, &graph));
    CHECK(cudaGraphInstantiateWithFlags(&exec, graph, 0));
    CHECK(cudaGraphDestroy(graph));
    const Times kernel = replay({{exec, stream}}, 1, 15)[0];
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaFree(from));
    CHECK(cudaFree(to));
    return {2.0 * bytes / driver.median / 1e3, 2.0 * bytes / kernel.median / 1e3};
}
