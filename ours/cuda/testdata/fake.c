// A stand-in for libcuda, libnvrtc and libcublas, for tests on machines without
// a GPU: memory is the host's, streams do nothing, and a kernel is a C function
// of the same name below. It tests the host side of the device; that the
// kernels themselves are right is for a GPU to show.
//
// FAKE_CUDA=FUNCTION:STATUS makes one function return a status; FUNCTION alone
// of libnvrtc and so on cannot be left out, so the tests build this file with
// -DWITHOUT_PTX for a library that lacks a function.

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t address;

static int faulted; // the sticky status after a trap

// The status a function is to return: what FAKE_CUDA asks for, or the fault's.
static int status(const char *function) {
    const char *plan = getenv("FAKE_CUDA");
    size_t n = strlen(function);
    if (plan != NULL && strncmp(plan, function, n) == 0 && plan[n] == ':') {
        return atoi(plan + n + 1);
    }
    return faulted;
}

#define RETURN_STATUS return status(__func__)

int cuInit(unsigned flags) { (void)flags; RETURN_STATUS; }
int cuDriverGetVersion(int *version) { *version = 13000; RETURN_STATUS; }
int cuGetErrorName(int s, const char **name) { *name = s == 719 ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR_FAKE"; return 0; }
int cuGetErrorString(int s, const char **text) { *text = s == 719 ? "unspecified launch failure" : "fake failure"; return 0; }
int cuDeviceGetCount(int *count) { *count = getenv("FAKE_CUDA_NONE") == NULL; RETURN_STATUS; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; RETURN_STATUS; }
int cuDeviceGetName(char *name, int size, int device) { (void)device; snprintf(name, size, "Fake GPU"); RETURN_STATUS; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { (void)device; *value = attribute == 75 ? 9 : 0; RETURN_STATUS; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = 1u << 30; RETURN_STATUS; }
int cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; *context = &faulted; RETURN_STATUS; }
int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; RETURN_STATUS; }

static _Thread_local void *current;
int cuCtxSetCurrent(void *context) { current = context; return 0; }

int cuStreamCreate(void **stream, unsigned flags) { (void)flags; *stream = &faulted; RETURN_STATUS; }
int cuStreamSynchronize(void *stream) { (void)stream; RETURN_STATUS; }
int cuStreamDestroy_v2(void *stream) { (void)stream; RETURN_STATUS; }

// A call without a current context fails, as the driver's does.
#define NEED_CONTEXT      \
    if (current == NULL) { \
        return 201;       \
    }

int cuMemAlloc_v2(address *memory, size_t bytes) {
    NEED_CONTEXT
    // Room on both sides for what strays beyond the guard zones.
    char *base = malloc(bytes + 8192);
    *memory = (address)(uintptr_t)(base + 4096);
    RETURN_STATUS;
}
int cuMemFree_v2(address memory) { NEED_CONTEXT free((char *)(uintptr_t)memory - 4096); RETURN_STATUS; }
int cuMemcpyHtoDAsync_v2(address to, const void *from, size_t bytes, void *stream) {
    (void)stream;
    NEED_CONTEXT
    memcpy((void *)(uintptr_t)to, from, bytes);
    RETURN_STATUS;
}
int cuMemcpyDtoHAsync_v2(void *to, address from, size_t bytes, void *stream) {
    (void)stream;
    NEED_CONTEXT
    memcpy(to, (void *)(uintptr_t)from, bytes);
    RETURN_STATUS;
}
int cuMemsetD16Async(address memory, unsigned short value, size_t count, void *stream) {
    (void)stream;
    NEED_CONTEXT
    for (size_t i = 0; i < count; i++) {
        memcpy((char *)(uintptr_t)memory + 2 * i, &value, 2);
    }
    RETURN_STATUS;
}

// Kernels: each takes the block count and the parameters of the real one.
#define ARG(type, i) (*(type *)params[i])

struct finding {
    unsigned launch, place, first, last, count;
};
struct findings {
    unsigned count;
    struct finding list[1024];
};

static void add(struct findings *found, struct finding f) {
    if (found->count < 1024) {
        found->list[found->count] = f;
    }
    found->count++;
}

static void check_zones(int blocks, void **params) {
    const uint64_t *zones = ARG(const uint64_t *, 0);
    unsigned launch = ARG(unsigned, 2), from = ARG(unsigned, 3);
    for (unsigned zone = from; zone < from + blocks; zone++) {
        unsigned char *bytes = (unsigned char *)(uintptr_t)zones[3 * zone];
        unsigned length = zones[3 * zone + 1], pattern = zones[3 * zone + 2], first = length, last = 0;
        for (unsigned i = 0; i < length; i++) {
            unsigned char want = i % 2 == 0 ? pattern & 0xff : pattern >> 8;
            if (bytes[i] != want) {
                first = first < i ? first : i;
                last = i;
                bytes[i] = want;
            }
        }
        if (first < length && launch != 0) {
            add(ARG(struct findings *, 1), (struct finding){launch, zone, first, last, 0});
        }
    }
}

static void check_written(void **params, int size) {
    uint64_t n = ARG(uint64_t, 1);
    unsigned pattern = ARG(unsigned, 2), count = 0, first = ~0u;
    for (uint64_t i = 0; i < n; i++) {
        unsigned want = size == 2 ? pattern : pattern << 16 | pattern, got = 0;
        memcpy(&got, ARG(char *, 0) + size * i, size);
        if (got == want) {
            first = count++ == 0 ? (unsigned)i : first;
        }
    }
    // In two halves, as blocks of a GPU would report them, in the wrong order.
    for (int half = 1; half >= 0 && count > 0; half--) {
        unsigned part = half ? count / 2 : count - count / 2;
        if (part > 0) {
            add(ARG(struct findings *, 3), (struct finding){ARG(unsigned, 4), (1u << 31) + ARG(unsigned, 5),
                                                            half ? first + 1 : first, 0, part});
        }
    }
}

static void check_written_2(int blocks, void **params) { (void)blocks; check_written(params, 2); }
static void check_written_4(int blocks, void **params) { (void)blocks; check_written(params, 4); }

static void widen_f16(int blocks, void **params) {
    (void)blocks;
    for (uint64_t i = 0; i < ARG(uint64_t, 2); i++) {
        _Float16 h;
        memcpy(&h, ARG(char *, 0) + 2 * i, 2);
        ARG(float *, 1)[i] = (float)h;
    }
}

static void widen_bf16(int blocks, void **params) {
    (void)blocks;
    for (uint64_t i = 0; i < ARG(uint64_t, 2); i++) {
        uint32_t bits = (uint32_t)ARG(uint16_t *, 0)[i] << 16;
        memcpy(&ARG(float *, 1)[i], &bits, 4);
    }
}

static void write_shifted(int blocks, void **params) {
    (void)blocks;
    for (int i = 0; i < ARG(int, 1); i++) {
        ARG(float *, 0)[i + ARG(int, 2)] = (float)i;
    }
}

static void trap(int blocks, void **params) { (void)blocks, (void)params; faulted = 719; }

static const struct kernel {
    const char *name;
    void (*run)(int blocks, void **params);
} kernels[] = {
    {"attndiff_check_zones", check_zones}, {"attndiff_check_written_2", check_written_2},
    {"attndiff_check_written_4", check_written_4}, {"attndiff_widen_f16", widen_f16},
    {"attndiff_widen_bf16", widen_bf16}, {"write_shifted", write_shifted}, {"trap", trap},
};

int cuModuleLoadData(void **module, const void *image) {
    NEED_CONTEXT
    if (strncmp(image, "fake image", 10) != 0) {
        return 200;
    }
    *module = &faulted;
    RETURN_STATUS;
}
int cuModuleGetFunction(void **function, void *module, const char *name) {
    (void)module;
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        if (strcmp(kernels[i].name, name) == 0) {
            *function = (void *)&kernels[i];
            RETURN_STATUS;
        }
    }
    return 500;
}
int cuModuleUnload(void *module) { (void)module; return 0; }
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **params, void **extra) {
    (void)gy, (void)gz, (void)bx, (void)by, (void)bz, (void)shared, (void)stream, (void)extra;
    NEED_CONTEXT
    int s = status(__func__);
    if (s == 0) {
        // Like a GPU, the fault shows at the next call that waits.
        ((const struct kernel *)function)->run((int)gx, params);
    }
    return s;
}

// cuda.h, CUlaunchConfig.
struct config {
    unsigned grid[3], block[3], shared;
    void *stream;
    const struct {
        int id;
        uint64_t value[8];
    } *attributes;
    unsigned count;
};
int cuLaunchKernelEx(const struct config *c, void *function, void **params, void **extra) {
    enum { PROGRAMMATIC_STREAM_SERIALIZATION = 6 };
    int s = status(__func__);
    if (s != 0) {
        return s;
    }
    if (c->count != 1 || c->attributes->id != PROGRAMMATIC_STREAM_SERIALIZATION || (int)c->attributes->value[0] != 1) {
        return 1;
    }
    return cuLaunchKernel(function, c->grid[0], c->grid[1], c->grid[2], c->block[0], c->block[1], c->block[2], c->shared, c->stream,
                          params, extra);
}

int nvrtcVersion(int *major, int *minor) { *major = 13, *minor = 0; RETURN_STATUS; }
int nvrtcGetNumSupportedArchs(int *count) { *count = 3; RETURN_STATUS; }
int nvrtcGetSupportedArchs(int *archs) { archs[0] = 75, archs[1] = 80, archs[2] = 90; RETURN_STATUS; }
int nvrtcCreateProgram(void **program, const char *text, const char *name, int headers, const char *const *header_texts,
                       const char *const *header_names) {
    (void)name, (void)headers, (void)header_texts, (void)header_names;
    *program = strdup(text);
    RETURN_STATUS;
}
int nvrtcCompileProgram(void *program, int options, const char *const *list) {
    (void)options, (void)list;
    return strstr(program, "#error") != NULL ? 6 : status(__func__);
}
static const char compile_log[] = "a warning\ntest.cu(3): error: this cannot be\nanother error\n";
int nvrtcGetProgramLogSize(void *program, size_t *bytes) { (void)program; *bytes = sizeof(compile_log); return 0; }
int nvrtcGetProgramLog(void *program, char *log) { (void)program; memcpy(log, compile_log, sizeof(compile_log)); return 0; }
static const char image[] = "fake image";
int nvrtcGetCUBINSize(void *program, size_t *bytes) { (void)program; *bytes = sizeof(image); return 0; }
int nvrtcGetCUBIN(void *program, char *to) { (void)program; memcpy(to, image, sizeof(image)); return 0; }
#ifndef WITHOUT_PTX
int nvrtcGetPTXSize(void *program, size_t *bytes) { (void)program; *bytes = sizeof(image); return 0; }
int nvrtcGetPTX(void *program, char *to) { (void)program; memcpy(to, image, sizeof(image)); return 0; }
#endif
int nvrtcDestroyProgram(void **program) { free(*program); return 0; }

int cublasCreate_v2(void **handle) { *handle = &faulted; RETURN_STATUS; }
int cublasDestroy_v2(void *handle) { (void)handle; return 0; }
int cublasGetVersion_v2(void *handle, int *version) { (void)handle; *version = 130102; return 0; }
int cublasSetStream_v2(void *handle, void *stream) { (void)handle, (void)stream; RETURN_STATUS; }
int cublasSetMathMode(void *handle, int mode) { (void)handle; return mode == 2 ? status(__func__) : 7; }
int cublasGemmEx(void *handle, int transa, int transb, int m, int n, int k, const void *alpha, const void *a, int atype,
                 int lda, const void *b, int btype, int ldb, const void *beta, void *c, int ctype, int ldc, int compute,
                 int algorithm) {
    (void)handle, (void)algorithm;
    if (atype != 0 || btype != 0 || ctype != 0 || compute != 69) {
        return 15;
    }
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int l = 0; l < k; l++) {
                double x = ((const float *)a)[transa ? i * lda + l : l * lda + i];
                sum += x * ((const float *)b)[transb ? l * ldb + j : j * ldb + l];
            }
            float *to = &((float *)c)[j * ldc + i];
            const float scaled = *(const float *)beta == 0 ? 0 : *(const float *)beta * *to;
            *to = (float)(*(const float *)alpha * sum) + scaled;
        }
    }
    RETURN_STATUS;
}
