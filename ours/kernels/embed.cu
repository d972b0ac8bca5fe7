// Embedding lookup, one row of the table per token:
//
//     y[t,e] = table[tokens[t], e]
//
//     tokens  [T]    int, each in 0..V-1 (the host checks)
//     table   [V,E]  f32, f16 or bf16, as the model file stores it
//     y       [T,E]  f32
//
// Launch: grid (T), block (256). One block copies one row; consecutive threads
// read consecutive channels, so every warp's load is one contiguous run.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

static __device__ float embed_to_float(float v) { return v; }
static __device__ float embed_to_float(__half v) { return __half2float(v); }
static __device__ float embed_to_float(__nv_bfloat16 v) { return __bfloat162float(v); }

template <typename W>
static __device__ void embed_rows(const int *tokens, const W *table, float *y, int E) {
    const int t = blockIdx.x;
    const W *row = table + (size_t)tokens[t] * E;
    for (int e = threadIdx.x; e < E; e += blockDim.x) {
        y[(size_t)t * E + e] = embed_to_float(row[e]);
    }
}

// Embedding rows from an f32 table.
// tap: inp_embd
extern "C" __global__ void embed_rows_f32(const int *tokens, const float *table, float *y, int E) {
    embed_rows(tokens, table, y, E);
}

// Embedding rows from an f16 table.
// tap: inp_embd
extern "C" __global__ void embed_rows_f16(const int *tokens, const __half *table, float *y, int E) {
    embed_rows(tokens, table, y, E);
}

// Embedding rows from a bf16 table.
// tap: inp_embd
extern "C" __global__ void embed_rows_bf16(const int *tokens, const __nv_bfloat16 *table, float *y, int E) {
    embed_rows(tokens, table, y, E);
}
