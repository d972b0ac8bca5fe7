// Root-mean-square normalisation of rows.

// Sum of v over the block, returned to every thread. Lanes of a warp add up by
// butterfly shuffles; the warps' sums meet in shared memory. blockDim.x must be
// a multiple of 32, at most 1024.
static __device__ float rms_norm_block_sum(float v) {
    __shared__ float warp_sums[32];
    for (int offset = 16; offset > 0; offset /= 2) {
        v += __shfl_xor_sync(0xffffffffu, v, offset);
    }
    if (threadIdx.x % 32 == 0) {
        warp_sums[threadIdx.x / 32] = v;
    }
    __syncthreads();
    float sum = 0.0f;
    for (int w = 0; w < blockDim.x / 32; w++) {
        sum += warp_sums[w];
    }
    return sum;
}

// RMSNorm (Zhang and Sennrich, arXiv:1910.07467) with a learned weight:
//
//     y[t,e] = x[t,e] / sqrt(1/E * sum_j x[t,j]^2 + eps) * w[e]
//
//     x, y  [T,E]  f32
//     w     [E]    f32
//
// Launch: grid (T), block (256). One block per row; a row is read twice, the
// second time from cache.
//
// tap: attn_norm, ffn_norm, result_norm
extern "C" __global__ void rms_norm(const float *x, const float *w, float *y, int E, float eps) {
    const float *row = x + (size_t)blockIdx.x * E;
    float *out = y + (size_t)blockIdx.x * E;

    float sum = 0.0f;
    for (int e = threadIdx.x; e < E; e += blockDim.x) {
        sum += row[e] * row[e];
    }
    sum = rms_norm_block_sum(sum);

    const float scale = 1.0f / sqrtf(sum / E + eps);
    for (int e = threadIdx.x; e < E; e += blockDim.x) {
        out[e] = row[e] * scale * w[e];
    }
}
