// Random data for the attention benchmark, and attention once more as a plain
// kernel in double to hold results against.
#pragma once

#include <cuda_fp16.h>

// A standard normal number for each index (splitmix64, Box and Muller).
static __device__ float normal(unsigned long long i) {
    unsigned long long z = (i + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    const float u = ((unsigned)z + 1.0f) / 4294967808.0f, v = (unsigned)(z >> 32) / 4294967296.0f;
    return sqrtf(-2.0f * logf(u)) * cospif(2.0f * v);
}

static __global__ void fill_half(__half *x, size_t n) {
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
        x[i] = __float2half_rn(normal(i));
    }
}

static __global__ void fill_float(float *x, size_t n, float value) {
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
        x[i] = isnan(value) ? value : value * normal(i + (1ull << 40));
    }
}

// One row of attention per block: token and head from rows. scores is room for C
// doubles a block.
static __global__ void plain_attention(const float *q, const __half *k, const __half *v, float *y, const int *rows, double *scores,
                                       int T, int C, int H, int G, int D, double scale) {
    __shared__ double shared[256];
    const int t = rows[blockIdx.x] / H, h = rows[blockIdx.x] % H, g = h / (H / G);
    const int visible = C - T + t + 1;
    double *const s = scores + (size_t)blockIdx.x * C;
    const float *const query = q + ((size_t)t * H + h) * D;
    double top = -1e300;
    for (int c = threadIdx.x; c < visible; c += blockDim.x) {
        double sum = 0;
        for (int d = 0; d < D; d++) {
            sum += (double)query[d] * (double)__half2float(k[((size_t)c * G + g) * D + d]);
        }
        s[c] = scale * sum;
        top = max(top, s[c]);
    }
    shared[threadIdx.x] = top;
    __syncthreads();
    for (int i = 0; i < blockDim.x; i++) {
        top = max(top, shared[i]);
    }
    __syncthreads();
    double total = 0;
    for (int c = threadIdx.x; c < visible; c += blockDim.x) {
        s[c] = exp(s[c] - top);
        total += s[c];
    }
    shared[threadIdx.x] = total;
    __syncthreads();
    total = 0;
    for (int i = 0; i < blockDim.x; i++) {
        total += shared[i];
    }
    const int parts = blockDim.x / D, part = threadIdx.x / D, d = threadIdx.x % D;
    double sum = 0;
    for (int c = part; c < visible; c += parts) {
        sum += s[c] * (double)__half2float(v[((size_t)c * G + g) * D + d]);
    }
    __syncthreads();
    shared[threadIdx.x] = sum;
    __syncthreads();
    if (part == 0) {
        for (int i = 1; i < parts; i++) {
            sum += shared[i * D + d];
        }
        y[(size_t)blockIdx.x * D + d] = (float)(sum / total);
    }
}

