#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>

enum { MAX_PARAMS = 32 };

void *shim_open(const char *name, const char **why) {
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        *why = dlerror();
    }
    return library;
}

const char *shim_path(void *library) {
    struct link_map *map = NULL;
    return dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map != NULL ? map->l_name : NULL;
}

void shim_close(void *library) { dlclose(library); }

#define FIND(name, args)                                          \
    if ((*(void **)&table->name = dlsym(library, #name)) == NULL) \
        return #name;

const char *shim_driver(struct driver *table, void *library) {
    DRIVER_FUNCTIONS(FIND)
    *(void **)&table->cuLaunchKernelEx = dlsym(library, "cuLaunchKernelEx");
    return NULL;
}

const char *shim_nvrtc(struct nvrtc *table, void *library) {
    NVRTC_FUNCTIONS(FIND)
    return NULL;
}

const char *shim_blas(struct blas *table, void *library) {
    BLAS_FUNCTIONS(FIND)
    return NULL;
}

// Returns from the function if a call fails.
#define TRY(call)        \
    do {                 \
        int s_ = (call); \
        if (s_ != 0)     \
            return s_;   \
    } while (0)

int shim_count(const struct driver *d, int *version, int *count) {
    TRY(d->cuInit(0));
    TRY(d->cuDriverGetVersion(version));
    return d->cuDeviceGetCount(count);
}

// cuda.h, CUdevice_attribute.
enum { MULTIPROCESSOR_COUNT = 16, COMPUTE_CAPABILITY_MAJOR = 75, COMPUTE_CAPABILITY_MINOR = 76 };

int shim_describe(const struct driver *d, int ordinal, char *name, int size, int *major, int *minor,
                  int *multiprocessors, size_t *bytes) {
    int device;
    TRY(d->cuDeviceGet(&device, ordinal));
    TRY(d->cuDeviceGetName(name, size, device));
    TRY(d->cuDeviceGetAttribute(major, COMPUTE_CAPABILITY_MAJOR, device));
    TRY(d->cuDeviceGetAttribute(minor, COMPUTE_CAPABILITY_MINOR, device));
    TRY(d->cuDeviceGetAttribute(multiprocessors, MULTIPROCESSOR_COUNT, device));
    return d->cuDeviceTotalMem_v2(bytes, device);
}

int gpu_open(struct gpu *g, int ordinal) {
    enum { NON_BLOCKING = 1 };
    TRY(g->driver->cuDeviceGet(&g->device, ordinal));
    TRY(g->driver->cuDevicePrimaryCtxRetain(&g->context, g->device));
    TRY(g->driver->cuCtxSetCurrent(g->context));
    return g->driver->cuStreamCreate(&g->stream, NON_BLOCKING);
}

// Statuses are dropped: after a fault every one of these fails, and the
// process ends soon anyway.
void gpu_close(struct gpu *g) {
    if (g->context == NULL) {
        return;
    }
    g->driver->cuCtxSetCurrent(g->context);
    if (g->handle != NULL) {
        g->blas->cublasDestroy_v2(g->handle);
    }
    if (g->stream != NULL) {
        g->driver->cuStreamDestroy_v2(g->stream);
    }
    g->driver->cuDevicePrimaryCtxRelease_v2(g->device);
    g->context = NULL;
}

#define CURRENT(g) TRY((g)->driver->cuCtxSetCurrent((g)->context))

int gpu_alloc(struct gpu *g, address *memory, size_t bytes) {
    CURRENT(g);
    return g->driver->cuMemAlloc_v2(memory, bytes);
}

int gpu_free(struct gpu *g, address memory) {
    CURRENT(g);
    return g->driver->cuMemFree_v2(memory);
}

int gpu_fill(struct gpu *g, address memory, unsigned short value, size_t count) {
    CURRENT(g);
    return g->driver->cuMemsetD16Async(memory, value, count, g->stream);
}

int gpu_write(struct gpu *g, address to, const void *from, size_t bytes) {
    CURRENT(g);
    TRY(g->driver->cuMemcpyHtoDAsync_v2(to, from, bytes, g->stream));
    return g->driver->cuStreamSynchronize(g->stream);
}

int gpu_read(struct gpu *g, void *to, address from, size_t bytes) {
    CURRENT(g);
    return g->driver->cuMemcpyDtoHAsync_v2(to, from, bytes, g->stream);
}

int gpu_wait(struct gpu *g) {
    CURRENT(g);
    return g->driver->cuStreamSynchronize(g->stream);
}

int gpu_load(struct gpu *g, const void *image, void **module) {
    CURRENT(g);
    return g->driver->cuModuleLoadData(module, image);
}

int gpu_function(struct gpu *g, void *module, const char *name, void **function) {
    CURRENT(g);
    return g->driver->cuModuleGetFunction(function, module, name);
}

// cuda.h, CUlaunchConfig and CUlaunchAttribute.
struct launch_attribute {
    int id;
    union {
        uint64_t all[8];
        int allowed;
    } value;
};
struct launch_config {
    unsigned grid[3], block[3], shared;
    void *stream;
    const struct launch_attribute *attributes;
    unsigned count;
};
enum { PROGRAMMATIC_STREAM_SERIALIZATION = 6 };

int gpu_launch(struct gpu *g, void *function, const unsigned grid[3], const unsigned block[3], unsigned shared, int early,
               uint64_t *slots, int count) {
    void *params[MAX_PARAMS];
    for (int i = 0; i < count; i++) {
        params[i] = &slots[i];
    }
    CURRENT(g);
    if (early && g->driver->cuLaunchKernelEx != NULL) {
        const struct launch_attribute attribute = {PROGRAMMATIC_STREAM_SERIALIZATION, {.allowed = 1}};
        const struct launch_config config = {
            {grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, shared, g->stream, &attribute, 1};
        return g->driver->cuLaunchKernelEx(&config, function, params, NULL);
    }
    return g->driver->cuLaunchKernel(function, grid[0], grid[1], grid[2], block[0], block[1], block[2], shared,
                                     g->stream, params, NULL);
}

// cublas_api.h and library_types.h. Pedantic math keeps f32 as f32 in every
// phase: no TF32 and none of the emulations by smaller types, whatever the
// environment asks for.
enum { OP_N = 0, OP_T = 1, PEDANTIC_MATH = 2, R_32F = 0, COMPUTE_32F_PEDANTIC = 69, GEMM_DEFAULT = -1 };

int gpu_blas(struct gpu *g, const struct blas *b, int *version) {
    enum { NOT_INITIALIZED = 1 };
    if (g->driver->cuCtxSetCurrent(g->context) != 0) {
        return NOT_INITIALIZED;
    }
    void *handle;
    TRY(b->cublasCreate_v2(&handle));
    g->handle = handle;
    g->blas = b;
    TRY(b->cublasGetVersion_v2(g->handle, version));
    TRY(b->cublasSetStream_v2(g->handle, g->stream));
    return b->cublasSetMathMode(g->handle, PEDANTIC_MATH);
}

int gpu_product(struct gpu *g, const struct product *p) {
    enum { EXECUTION_FAILED = 13 };
    if (g->driver->cuCtxSetCurrent(g->context) != 0) {
        return EXECUTION_FAILED;
    }
    return g->blas->cublasGemmEx(g->handle, p->transa ? OP_T : OP_N, p->transb ? OP_T : OP_N, p->m, p->n, p->k,
                                 &p->alpha, (const void *)(uintptr_t)p->a, R_32F, p->lda, (const void *)(uintptr_t)p->b, R_32F, p->ldb,
                                 &p->beta, (void *)(uintptr_t)p->c, R_32F, p->ldc, COMPUTE_32F_PEDANTIC, GEMM_DEFAULT);
}

// Copies what a pair of NVRTC's "how large" and "give" functions has.
static char *fetch(void *program, int (*size)(void *, size_t *), int (*give)(void *, char *), size_t *bytes, int *status) {
    char *text = NULL;
    *status = size(program, bytes);
    if (*status == 0 && (text = malloc(*bytes + 1)) != NULL) {
        *status = give(program, text);
        text[*bytes] = '\0';
    }
    return text;
}

int shim_compile(const struct nvrtc *n, const char *text, const char *name, int headers, const char *const *texts,
                 const char *const *names, int options, const char *const *list, int ptx, char **image, size_t *bytes,
                 char **log) {
    void *program = NULL;
    TRY(n->nvrtcCreateProgram(&program, text, name, headers, texts, names));
    int status = n->nvrtcCompileProgram(program, options, list);
    int ignored;
    size_t length;
    *log = fetch(program, n->nvrtcGetProgramLogSize, n->nvrtcGetProgramLog, &length, &ignored);
    if (status == 0 && ptx) {
        *image = fetch(program, n->nvrtcGetPTXSize, n->nvrtcGetPTX, bytes, &status);
    } else if (status == 0) {
        *image = fetch(program, n->nvrtcGetCUBINSize, n->nvrtcGetCUBIN, bytes, &status);
    }
    n->nvrtcDestroyProgram(&program);
    return status;
}

int shim_version(const struct nvrtc *n, int *major, int *minor) { return n->nvrtcVersion(major, minor); }

int shim_archs(const struct nvrtc *n, int *archs, int most) {
    int count;
    if (n->nvrtcGetNumSupportedArchs(&count) != 0 || count > most || n->nvrtcGetSupportedArchs(archs) != 0) {
        return 0;
    }
    return count;
}

void shim_error(const struct driver *d, int status, const char **name, const char **text) {
    if (d->cuGetErrorName(status, name) != 0) {
        *name = NULL;
    }
    if (d->cuGetErrorString(status, text) != 0) {
        *text = NULL;
    }
}
