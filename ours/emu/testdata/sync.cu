// Kernels that wait: barriers, shuffles, votes.

// Sum of a block by shuffles and shared memory, the way reductions are written:
//
//     sums[blockIdx.x] = sum of x[i] over the block's n elements
extern "C" __global__ void block_sum(const float *x, float *sums, int n) {
    __shared__ float warp_sums[32];
    float sum = 0.0f;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        sum += x[blockIdx.x * n + i];
    }
    for (int offset = 16; offset > 0; offset /= 2) {
        sum += __shfl_down_sync(0xffffffffu, sum, offset);
    }
    if (threadIdx.x % 32 == 0) {
        warp_sums[threadIdx.x / 32] = sum;
    }
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = threadIdx.x < blockDim.x / 32 ? warp_sums[threadIdx.x] : 0.0f;
        for (int offset = 16; offset > 0; offset /= 2) {
            sum += __shfl_down_sync(0xffffffffu, sum, offset);
        }
        if (threadIdx.x == 0) {
            sums[blockIdx.x] = sum;
        }
    }
}

// Reverses a block's elements through shared memory of a size known at launch.
extern "C" __global__ void reverse(const int *x, int *y) {
    extern __shared__ int staged[];
    staged[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = staged[blockDim.x - 1 - threadIdx.x];
}

// The same with the barrier forgotten.
extern "C" __global__ void reverse_unsynced(const int *x, int *y) {
    extern __shared__ int staged[];
    staged[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = staged[blockDim.x - 1 - threadIdx.x];
}

// Writes one int past its dynamic shared memory.
extern "C" __global__ void shared_overrun(int *y) {
    extern __shared__ int staged[];
    staged[threadIdx.x + 1] = threadIdx.x;
    y[threadIdx.x] = staged[threadIdx.x + 1];
}

// Reads shared memory that nobody wrote in this block: y holds what a plain, a
// template's and a dynamic array have at the thread's index.
template <int N> static __device__ float template_shared() {
    __shared__ float held[N];
    const float v = held[threadIdx.x];
    held[threadIdx.x] = 1.0f;
    return v;
}
extern "C" __global__ void unwritten_shared(float *y) {
    __shared__ float held[32];
    extern __shared__ float dynamic[];
    float *row = y + (blockIdx.x * 32 + threadIdx.x) * 3;
    row[0] = held[threadIdx.x];
    row[1] = template_shared<32>();
    row[2] = dynamic[threadIdx.x];
    held[threadIdx.x] = dynamic[threadIdx.x] = 1.0f;
}

// A rotation by one of a buffer that is used twice, with the second barrier
// forgotten: an early warp overwrites what a late one has yet to read.
extern "C" __global__ void rotate_twice_unsynced(const int *x, int *y) {
    __shared__ int held[256];
    const int next = (threadIdx.x + 1) % blockDim.x;
    held[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    const int once = held[next];
    __syncwarp();
    held[threadIdx.x] = once;
    __syncthreads();
    y[threadIdx.x] = held[next];
}

// Threads past n return before a barrier the others meet at.
extern "C" __global__ void early_exit(const int *x, int *y, int n) {
    __shared__ int held[256];
    if (threadIdx.x >= n) {
        return;
    }
    held[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = held[n - 1 - threadIdx.x];
}

// A barrier in a branch that only some threads of the block take, who then
// meet the others at another barrier.
extern "C" __global__ void divergent_barriers(int *y) {
    if (threadIdx.x < 16) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    y[threadIdx.x] = 1;
}

// Half a warp waits at a barrier, the other half in a shuffle for all lanes.
extern "C" __global__ void divergent_shuffle(int *y) {
    int v = threadIdx.x;
    if (threadIdx.x < 16) {
        __syncthreads();
    } else {
        v = __shfl_xor_sync(0xffffffffu, v, 1);
        __syncthreads();
    }
    y[threadIdx.x] = v;
}

// Two halves of a warp in shuffles of different kinds with one mask.
extern "C" __global__ void divergent_kinds(int *y) {
    const int v = threadIdx.x;
    if (threadIdx.x < 16) {
        y[threadIdx.x] = __shfl_up_sync(0xffffffffu, v, 1);
    } else {
        y[threadIdx.x] = __shfl_down_sync(0xffffffffu, v, 1);
    }
}

// Every shuffle of one warp, width lanes a segment: y holds 4 rows of 32.
extern "C" __global__ void shuffles(int *y, int operand, int width) {
    const int v = 100 + threadIdx.x;
    y[threadIdx.x] = __shfl_sync(0xffffffffu, v, operand, width);
    y[32 + threadIdx.x] = __shfl_up_sync(0xffffffffu, v, operand, width);
    y[64 + threadIdx.x] = __shfl_down_sync(0xffffffffu, v, operand, width);
    y[96 + threadIdx.x] = __shfl_xor_sync(0xffffffffu, v, operand, width);
}

// Shuffles of 8-byte and of unsigned values, and two groups of one warp that
// do not wait for each other.
extern "C" __global__ void shuffle_types(float *y) {
    const int lane = threadIdx.x;
    const double d = __shfl_xor_sync(0xffffffffu, 0.5 + lane, 1);
    const unsigned u = __shfl_xor_sync(0xffffffffu, 0x80000000u + lane, 1);
    float group;
    if (lane % 2 == 0) {
        group = __shfl_sync(0x55555555u, (float)lane, 4);
        group = __shfl_sync(0x55555555u, group + lane, 6);
    } else {
        group = __shfl_sync(0xaaaaaaaau, (float)lane, 5);
    }
    y[lane] = (float)d;
    y[32 + lane] = (float)(u - 0x80000000u);
    y[64 + lane] = group;
}

// Reads of lanes that give nothing: lane 5 has returned, lane 7 is not in the
// mask, and the block has no lane 31.
extern "C" __global__ void absent_lanes(float *y) {
    const int lane = threadIdx.x;
    if (lane == 5) {
        return;
    }
    const unsigned mask = 0xffffffffu & ~(1u << 7);
    float v[3];
    for (int i = 0; i < 3; i++) {
        const int from[3] = {5, 7, 31};
        v[i] = lane == 7 ? 0.0f : __shfl_sync(mask, (float)lane, from[i]);
    }
    y[lane * 3] = v[0];
    y[lane * 3 + 1] = v[1];
    y[lane * 3 + 2] = v[2];
}

// Votes of a warp and counts of a block; y holds 6 results of each thread.
extern "C" __global__ void votes(int *y, int threshold) {
    const int t = threadIdx.x;
    const int yes = t < threshold;
    y[t * 6] = (int)__ballot_sync(0xffffffffu, yes);
    y[t * 6 + 1] = __any_sync(0xffffffffu, yes);
    y[t * 6 + 2] = __all_sync(0xffffffffu, yes);
    y[t * 6 + 3] = __syncthreads_count(yes);
    y[t * 6 + 4] = __syncthreads_or(yes);
    y[t * 6 + 5] = __syncthreads_and(yes);
}

// Where each thread stands, from the builtins: one int per thread of the grid.
extern "C" __global__ void where(int *y) {
    const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    const int threads = blockDim.x * blockDim.y * blockDim.z;
    y[block * threads + thread] =
        ((blockIdx.z * 10 + blockIdx.y) * 10 + blockIdx.x) * 1000 + (threadIdx.z * 10 + threadIdx.y) * 10 + threadIdx.x;
}
