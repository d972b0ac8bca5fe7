// Kernels that misuse memory.

// y[i + shift] = i for i in 0..n-1
// tap: q_rope
extern "C" __global__ void write_shifted(float *y, int n, int shift) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i + shift] = (float)i;
    }
}

// tap: kq
extern "C" __global__ void read_at(const float *x, float *y, int at) {
    y[threadIdx.x] = x[at];
}

extern "C" __global__ void divide(int *y, int by) {
    y[threadIdx.x] = 7 / by;
}

// Recurses until its stack ends.
static __device__ int deep(volatile int *y, int n) {
    volatile int local[64];
    local[n % 64] = n;
    return n == 0 ? 0 : deep(y, n - 1) + local[n % 64];
}

extern "C" __global__ void overflow_stack(int *y, int depth) {
    y[threadIdx.x] = deep(y, depth);
}

extern "C" __global__ void trap_at(int *y, int thread) {
    if (threadIdx.x == thread) {
        __trap();
    }
    y[threadIdx.x] = 1;
}

extern "C" __global__ void assert_below(int *y, int limit) {
    assert(threadIdx.x < limit);
    y[threadIdx.x] = 1;
}

extern "C" __global__ void count(int *total, float *sum, int *largest) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(total, 1);
    atomicAdd(sum, 0.5f);
    atomicMax(largest, i);
}

// Writes outside its static shared memory, if the index is; the only static
// array of this file.
extern "C" __global__ void static_overrun(int *y, int index) {
    __shared__ int held[32];
    int *p = held;
    p[index] = 1;
    *y = 1;
}

extern "C" __global__ void dynamic_overrun(int *y, int index) {
    extern __shared__ int staged[];
    staged[index] = 1;
    *y = 1;
}

// z[i] = x[i] + y[i], one element too many: what lies past the end of all three
// is added up and written.
extern "C" __global__ void add_too_many(const float *x, const float *y, float *z, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= n) {
        z[i] = x[i] + y[i];
    }
}

// The same without arithmetic.
extern "C" __global__ void copy_too_many(const float *x, float *z, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= n) {
        z[i] = x[i];
    }
}
