// Residual connection, element by element:
//
//     y[i] = branch[i] + skip[i]
//
//     branch  [T,E]  f32, what the attention or the FFN computed
//     skip    [T,E]  f32, the stream before it
//     y       [T,E]  f32;  n = T*E
//
// Launch: grid (ceil(n/256)), block (256). One thread per element.
//
// tap: ffn_inp, l_out
extern "C" __global__ void add_residual(const float *branch, const float *skip, float *y, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i] = branch[i] + skip[i];
    }
}
