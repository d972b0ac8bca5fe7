// Kernels that wait for asynchronous copies and for the kernel before them.

// Each thread brings in 4 floats by an asynchronous copy and writes those of its
// neighbour, after waiting for all groups but the latest ones; there are two, the
// second one empty. A thread from n on copies zeros.
extern "C" __global__ void copy_staged(const float *x, float *y, int n, int latest) {
    extern __shared__ __align__(16) float staged[];
    const int i = threadIdx.x, next = (i + 1) % blockDim.x;
    __pipeline_memcpy_async(staged + 4 * i, x + 4 * i, 16, i < n ? 0 : 16);
    __pipeline_commit();
    __pipeline_commit();
    __pipeline_wait_prior(latest);
    __syncthreads();
    for (int e = 0; e < 4; e++) {
        y[4 * i + e] = staged[4 * next + e];
    }
}

extern "C" __global__ void copy_odd(const float *x, float *y, int shift, int size) {
    __shared__ __align__(16) float staged[8];
    __pipeline_memcpy_async(staged + shift, x, size);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    y[0] = staged[shift];
}

extern "C" __global__ void fill(float *x, float value) { x[blockIdx.x * blockDim.x + threadIdx.x] = value; }

// y = x + 1; only the first warps of a block wait for the kernel before. y may be x.
extern "C" __global__ void increment(const float *x, float *y, int waits) {
    cudaTriggerProgrammaticLaunchCompletion();
    if (threadIdx.x / 32 < waits) {
        cudaGridDependencySynchronize();
    }
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = x[i] + 1.0f;
}
