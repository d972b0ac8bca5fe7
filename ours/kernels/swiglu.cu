// SwiGLU (Shazeer, arXiv:2002.05202), element by element:
//
//     y[i] = silu(gate[i]) * up[i]        silu(x) = x / (1 + exp(-x))
//
//     gate, up, y  [T,F]  f32;  n = T*F
//
// For very negative x, exp(-x) is Inf and silu is -0, as it should be.
//
// Launch: grid (ceil(n/256)), block (256). One thread per element.
//
// tap: ffn_swiglu
extern "C" __global__ void swiglu(const float *gate, const float *up, float *y, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        const float x = gate[i];
        y[i] = x / (1.0f + expf(-x)) * up[i];
    }
}
