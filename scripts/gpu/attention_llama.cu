// llama.cpp's flash attention for the benchmark: ggml_flash_attn_ext on the
// backend of libggml-cuda, with tensors laid out as llama.cpp's graph has them
// (llama-graph.cpp, build_attn_mha): queries permuted to [D,T,H], keys and
// values as views of a cache [C,G,D], an f16 mask whose rows are padded.
//
// The launches are captured into a CUDA graph on the backend's own stream, which
// is a member of the module's internal context; its layout comes from common.cuh
// of the same source the library was built from.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "common.cuh"
#include "ggml-backend-impl.h"
#include "ggml-backend.h"
#include "ggml-cuda.h"
#include "ggml.h"

#include "attention_bench.h"

static ggml_backend_t backend;
static ggml_tensor *pool;

static ggml_context *new_context(size_t tensors) {
    ggml_init_params params = {tensors * ggml_tensor_overhead() + ggml_graph_overhead_custom(tensors, false), nullptr, true};
    return ggml_init(params);
}

static ggml_backend_cuda_context *internals() { return (ggml_backend_cuda_context *)backend->context; }

cudaStream_t llama_stream() { return internals()->streams[internals()->device][0]; }

unsigned short *llama_open(size_t elements) {
    setenv("GGML_CUDA_DISABLE_GRAPHS", "1", 1); // the benchmark captures a graph of its own
    backend = ggml_backend_cuda_init(0);
    if (backend == nullptr) {
        return nullptr;
    }
    ggml_context *ctx = new_context(1);
    pool = ggml_new_tensor_1d(ctx, GGML_TYPE_F16, elements);
    return ggml_backend_alloc_ctx_tensors(ctx, backend) == nullptr ? nullptr : (unsigned short *)pool->data;
}

// What the last capture made; freed by the next.
static ggml_context *inputs, *nodes;
static ggml_backend_buffer_t input_memory, node_memory;
static ggml_tensor *result;

static void release() {
    if (inputs != nullptr) {
        ggml_backend_buffer_free(node_memory);
        ggml_backend_buffer_free(input_memory);
        ggml_free(nodes);
        ggml_free(inputs);
    }
}

// The mask of T tokens that end a text of C, rows padded to 64.
static std::vector<ggml_fp16_t> causal_mask(const Problem &p, int rows) {
    std::vector<ggml_fp16_t> mask((size_t)rows * p.C, ggml_fp32_to_fp16(-INFINITY));
    for (int t = 0; t < p.T; t++) {
        for (int c = 0; c <= p.C - p.T + t; c++) {
            mask[(size_t)t * p.C + c] = ggml_fp32_to_fp16(0.0f);
        }
    }
    return mask;
}

cudaGraphExec_t llama_capture(const Problem &p, const Series &s, const std::vector<float> &queries) {
    release();
    const int H = p.shape.H, G = p.shape.G, D = p.shape.D;
    inputs = new_context(2);
    const int mask_rows = GGML_PAD(p.T, 64);
    ggml_tensor *q = ggml_new_tensor_3d(inputs, GGML_TYPE_F32, D, H, p.T);
    ggml_tensor *mask = ggml_new_tensor_2d(inputs, GGML_TYPE_F16, p.C, mask_rows);
    input_memory = ggml_backend_alloc_ctx_tensors(inputs, backend);
    ggml_backend_tensor_set(q, queries.data(), 0, ggml_nbytes(q));
    const std::vector<ggml_fp16_t> mask_values = causal_mask(p, mask_rows);
    ggml_backend_tensor_set(mask, mask_values.data(), 0, ggml_nbytes(mask));

    nodes = new_context(4 * (size_t)s.launches + 8);
    ggml_cgraph *graph = ggml_new_graph_custom(nodes, 4 * (size_t)s.launches + 8, false);
    for (int i = 0; i < s.launches; i++) {
        const size_t at = (size_t)(i % s.sets) * 2 * p.side() * sizeof(ggml_fp16_t);
        const auto view = [&](size_t offset) {
            return ggml_view_3d(nodes, pool, D, p.C, G, p.row() * sizeof(ggml_fp16_t), D * sizeof(ggml_fp16_t), offset);
        };
        ggml_tensor *k = view(at);
        ggml_tensor *v = view(at + p.side() * sizeof(ggml_fp16_t));
        result = ggml_flash_attn_ext(nodes, ggml_permute(nodes, q, 0, 2, 1, 3), k, v, mask, p.scale(), 0.0f, 0.0f);
        ggml_flash_attn_ext_set_prec(result, GGML_PREC_F32);
        ggml_build_forward_expand(graph, result);
    }
    node_memory = ggml_backend_alloc_ctx_tensors(nodes, backend);
    if (node_memory == nullptr || !ggml_backend_supports_op(backend, result)) {
        fprintf(stderr, "ggml-cuda does not run this flash attention\n");
        exit(1);
    }
    // Once plainly: streams and memory pools come into being.
    ggml_backend_graph_compute(backend, graph);

    cudaGraph_t captured;
    cudaGraphExec_t exec;
    CHECK(cudaStreamBeginCapture(llama_stream(), cudaStreamCaptureModeRelaxed));
    if (ggml_backend_graph_compute_async(backend, graph, -1) != GGML_STATUS_SUCCESS) {
        fprintf(stderr, "ggml-cuda did not compute the graph\n");
        exit(1);
    }
    CHECK(cudaStreamEndCapture(llama_stream(), &captured));
    CHECK(cudaGraphInstantiateWithFlags(&exec, captured, 0));
    CHECK(cudaGraphDestroy(captured));
    return exec;
}

std::vector<float> llama_result(const Problem &p) {
    std::vector<float> y(p.queries());
    ggml_backend_tensor_get(result, y.data(), 0, ggml_nbytes(result));
    return y;
}
