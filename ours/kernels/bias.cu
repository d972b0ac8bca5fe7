// Bias added to every row of a projection:
//
//     y[t,j] = x[t,j] + b[j]
//
//     x, y  [T,N]  f32, N = heads * head_dim
//     b     [N]    f32
//
// Launch: grid (ceil(N/256), T), block (256). One thread per element.
//
// tap: q_bias, k_bias, v_bias
extern "C" __global__ void add_bias(const float *x, const float *b, float *y, int N) {
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= N) {
        return;
    }
    const size_t i = (size_t)blockIdx.y * N + j;
    y[i] = x[i] + b[j];
}
