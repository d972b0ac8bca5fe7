// Kernels that misuse arrays of a size that the compiler knows.

// y[0] is the first of 8 ints in static shared memory, with another array behind
// them; one is written at index.
extern "C" __global__ void shared_index(int *y, int index) {
    __shared__ int held[8], behind[8];
    held[0] = behind[0] = 0;
    held[index] = 7;
    y[0] = held[0] + behind[0];
}

extern "C" __global__ void local_index(int *y, int index) {
    int held[2][4] = {};
    held[1][index] = 7;
    y[0] = held[1][3];
}

static __device__ __forceinline__ void store(int *p, int v) { *p = v; }

// Writes behind a local array, through a pointer.
extern "C" __global__ void local_pointer(int *y, int index) {
    int held[4] = {};
    store(&held[4], index);
    y[0] = held[3];
}

// Writes a local variable that was assigned only if there is something to assign.
extern "C" __global__ void unset_local(float *y, int set) {
    float held[4];
    for (int i = 0; i < set; i++) {
        held[i] = 1.0f;
    }
    for (int i = 0; i < 4; i++) {
        y[i] = held[i];
    }
}
