// Greedy choice: the index of the largest logit, the lowest index among equals.
// NaN never wins; of a row without a number index 0 is returned, as llama.cpp's
// greedy sampler does.
//
//     best[0] = argmax_v logits[v]
//
//     logits  [V]  f32
//     best    [1]  int
//
// Launch: grid (1), block (256). Each thread keeps the best of its stride, lanes
// and then warps compare theirs by butterfly shuffles. Reads result_output and
// writes no tap.

// Takes (other, other_index) over (value, index) if it is the better choice.
static __device__ void argmax_take(float *value, int *index, float other, int other_index) {
    if (other > *value || (other == *value && other_index < *index)) {
        *value = other;
        *index = other_index;
    }
}

// The best choice of a warp, left in all of its lanes.
static __device__ void argmax_warp(float *value, int *index) {
    for (int offset = 16; offset > 0; offset /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, *value, offset);
        const int other_index = __shfl_xor_sync(0xffffffffu, *index, offset);
        argmax_take(value, index, other, other_index);
    }
}

extern "C" __global__ void argmax(const float *logits, int *best, int V) {
    __shared__ float warp_values[32];
    __shared__ int warp_indices[32];
    const int lane = threadIdx.x % 32;
    const int warp = threadIdx.x / 32;
    const int none = V; // no index yet: any number beats it

    float value = __int_as_float(0xff800000);
    int index = none;
    for (int v = threadIdx.x; v < V; v += blockDim.x) {
        argmax_take(&value, &index, logits[v], v);
    }
    argmax_warp(&value, &index);
    if (lane == 0) {
        warp_values[warp] = value;
        warp_indices[warp] = index;
    }
    __syncthreads();

    if (warp == 0) {
        const bool has = lane < blockDim.x / 32;
        value = has ? warp_values[lane] : __int_as_float(0xff800000);
        index = has ? warp_indices[lane] : none;
        argmax_warp(&value, &index);
        if (lane == 0) {
            best[0] = index == none ? 0 : index;
        }
    }
}
