// Rotary position embedding (Su et al., arXiv:2104.09864) in the NEOX pairing
// of llama.cpp's LLAMA_ROPE_TYPE_NEOX: dim i turns with dim i + D/2.
//
//     theta[i] = pos * base^(-2i/D)                    i = 0 .. D/2-1
//     y[i]       = x[i] * cos(theta) - x[i+D/2] * sin(theta)
//     y[i+D/2]   = x[i] * sin(theta) + x[i+D/2] * cos(theta)
//
//     x, y  [T,N,D]  f32, N heads (H for queries, G for keys)
//     pos   pos0 + t, pos0 = tokens cached before this step
//
// The angle is computed in double: rounded to f32 it would be off by a
// thousandth of a radian at position 32767 (ggml's, a running product of f32
// factors, is). These are three double functions per pair; all else is f32.
//
// Launch: grid (T), block (up to 256). The threads of a block walk the N * D/2
// pairs of one token; neighbours take neighbouring dims.
//
// tap: q_rope, k_rope
extern "C" __global__ void rope_neox(const float *x, float *y, int N, int D, int pos0, float base) {
    const int t = blockIdx.x;
    const int pos = pos0 + t;
    const int half_dim = D / 2;
    for (int p = threadIdx.x; p < N * half_dim; p += blockDim.x) {
        const int head = p / half_dim;
        const int i = p % half_dim;
        const double theta = pos * pow((double)base, -2.0 * i / D);
        const float c = (float)cos(theta);
        const float s = (float)sin(theta);

        const size_t row = ((size_t)t * N + head) * D;
        const float x0 = x[row + i];
        const float x1 = x[row + i + half_dim];
        y[row + i] = x0 * c - x1 * s;
        y[row + i + half_dim] = x0 * s + x1 * c;
    }
}
