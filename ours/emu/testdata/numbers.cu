// Number formats and functions.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

// Bit patterns of 65,536 halves and bfloats to f32.
extern "C" __global__ void widen(float *halves, float *bfloats) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    halves[i] = __half2float(__ushort_as_half((unsigned short)i));
    bfloats[i] = __bfloat162float(__ushort_as_bfloat16((unsigned short)i));
}

extern "C" __global__ void narrow(const float *x, __half *halves, __nv_bfloat16 *bfloats, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        halves[i] = __float2half_rn(x[i]);
        bfloats[i] = __float2bfloat16_rn(x[i]);
    }
}

// Half arithmetic: y holds a+b, a-b, a*b, a/b and fma(a,b,a) of each pair.
extern "C" __global__ void half_ops(const __half *a, const __half *b, __half *y, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i * 5] = a[i] + b[i];
        y[i * 5 + 1] = __hsub(a[i], b[i]);
        y[i * 5 + 2] = a[i] * b[i];
        y[i * 5 + 3] = a[i] / b[i];
        y[i * 5 + 4] = __hfma(a[i], b[i], a[i]);
    }
}

// Vector loads, small vectors and functions; y holds 8 results.
extern "C" __global__ void functions(const float4 *v, float *y, float x) {
    const float4 a = *v;
    const float2 b = make_float2(a.x + a.y, a.z + a.w);
    float s, c;
    sincosf(x, &s, &c);
    y[0] = b.x * b.y;
    y[1] = s * s + c * c;
    y[2] = rsqrtf(x);
    y[3] = max(min(a.x, 2.0f), -1.0f);
    y[4] = __expf(x) - expf(x);
    y[5] = __int_as_float(__float_as_int(x));
    y[6] = __fdividef(x, 2.0f);
    y[7] = isinf(INFINITY) && !(NAN == NAN) ? 1.0f : 0.0f;
}
