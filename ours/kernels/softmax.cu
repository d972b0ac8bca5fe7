// Causal softmax over one row of scores.

// Largest v of the block, returned to every thread; blockDim.x is a multiple of
// 32, at most 1024.
static __device__ float softmax_block_max(float v) {
    __shared__ float warp_max[32];
    for (int offset = 16; offset > 0; offset /= 2) {
        v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, offset));
    }
    if (threadIdx.x % 32 == 0) {
        warp_max[threadIdx.x / 32] = v;
    }
    __syncthreads();
    for (int w = 0; w < blockDim.x / 32; w++) {
        v = fmaxf(v, warp_max[w]);
    }
    return v;
}

// Sum of v over the block, returned to every thread; the same launch rule.
static __device__ float softmax_block_sum(float v) {
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

// Softmax of scaled scores under the causal mask. Token t of this step stands
// at position pos0 + t and sees positions 0 .. pos0 + t:
//
//     m[h,t]   = max_{c <= pos0+t} scale * kq[h,t,c]
//     p[h,t,c] = exp(scale * kq[h,t,c] - m[h,t]) / sum_c' exp(...)   c <= pos0+t
//     p[h,t,c] = 0, exactly                                           c >  pos0+t
//
//     kq, p  [H,T,C]  f32
//     scale  1/sqrt(D)
//
// Subtracting the maximum keeps exp within f32 whatever the scores are.
//
// Launch: grid (T, H), block (32 per 256 positions, at most 256). One block per
// row, three passes over it: maximum, exponentials and their sum, division. A
// short row takes one warp, whose reductions are shuffles alone.
//
// tap: kq_soft_max
extern "C" __global__ void causal_softmax(const float *kq, float *p, int T, int C, int pos0, float scale) {
    const int t = blockIdx.x;
    const int h = blockIdx.y;
    const float *scores = kq + ((size_t)h * T + t) * C;
    float *probs = p + ((size_t)h * T + t) * C;
    const int visible = pos0 + t + 1;

    float row_max = __int_as_float(0xff800000);
    for (int c = threadIdx.x; c < visible; c += blockDim.x) {
        row_max = fmaxf(row_max, scale * scores[c]);
    }
    row_max = softmax_block_max(row_max);

    float sum = 0.0f;
    for (int c = threadIdx.x; c < visible; c += blockDim.x) {
        const float e = expf(scale * scores[c] - row_max);
        probs[c] = e;
        sum += e;
    }
    sum = softmax_block_sum(sum);

    // Each thread divides the columns it wrote itself, so no barrier is needed.
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        probs[c] = c < visible ? probs[c] / sum : 0.0f;
    }
}
