// What the benchmarks launch.

extern "C" __global__ void nothing() {}

// y[i] = x[i] * a + y[i]
extern "C" __global__ void saxpy(const float *x, float *y, float a, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i] = x[i] * a + y[i];
    }
}
