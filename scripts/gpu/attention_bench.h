// What the two halves of the attention benchmark tell each other: ours
// (attention_bench.cu) and llama.cpp's (attention_llama.cu), which is left out
// where ggml-cuda is not built.
#pragma once

#include <cuda_runtime.h>

#include <string>
#include <vector>

// One attention problem at a model's shape: T tokens that end a text of C.
struct Shape {
    std::string name;
    int H, G, D;
};

struct Problem {
    Shape shape;
    int T, C;

    size_t row() const { return (size_t)shape.G * shape.D; }               // elements of a position
    size_t side() const { return row() * C; }                              // elements of the keys, or of the values
    size_t queries() const { return (size_t)T * shape.H * shape.D; }       // elements of the queries, and of the result
    double kv_bytes() const { return 2.0 * side() * sizeof(unsigned short); }
    float scale() const;
};

// Launches of one problem, one after the other, each on a set of keys and values
// of its own as far as there are any: set i starts at element i * 2 * side() of
// the pool, keys [C,G,D] and then values.
struct Series {
    int launches, sets;
};

#define CHECK(call)                                                                                                    \
    do {                                                                                                               \
        const cudaError_t status_ = (call);                                                                            \
        if (status_ != cudaSuccess) {                                                                                  \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(status_));                \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

// llama.cpp's side. open returns a pool of so many f16 that both sides read, in
// a buffer of its own as ggml wants it, and null when there is no CUDA device.
unsigned short *llama_open(size_t elements);

// Captures a series of ggml_flash_attn_ext as a graph. queries are on the host,
// [T,H,D]. The results of the last launch are found with llama_result.
cudaGraphExec_t llama_capture(const Problem &p, const Series &s, const std::vector<float> &queries);
std::vector<float> llama_result(const Problem &p);
cudaStream_t llama_stream();
