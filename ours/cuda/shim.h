// The parts of NVIDIA's libraries that we call, looked up by name at run time.
//
// Prototypes are ours, after the public references of the driver API, NVRTC
// and cuBLAS: a handle is a pointer, a device address a 64-bit integer, a
// status an int (0 is success).
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef uint64_t address;

#define DRIVER_FUNCTIONS(X)                                                                          \
    X(cuInit, (unsigned flags))                                                                      \
    X(cuDriverGetVersion, (int *version))                                                            \
    X(cuGetErrorName, (int status, const char **name))                                               \
    X(cuGetErrorString, (int status, const char **text))                                             \
    X(cuDeviceGetCount, (int *count))                                                                \
    X(cuDeviceGet, (int *device, int ordinal))                                                       \
    X(cuDeviceGetName, (char *name, int size, int device))                                           \
    X(cuDeviceGetAttribute, (int *value, int attribute, int device))                                 \
    X(cuDeviceTotalMem_v2, (size_t *bytes, int device))                                              \
    X(cuDevicePrimaryCtxRetain, (void **context, int device))                                        \
    X(cuDevicePrimaryCtxRelease_v2, (int device))                                                    \
    X(cuCtxSetCurrent, (void *context))                                                              \
    X(cuStreamCreate, (void **stream, unsigned flags))                                               \
    X(cuStreamSynchronize, (void *stream))                                                           \
    X(cuStreamDestroy_v2, (void *stream))                                                            \
    X(cuMemAlloc_v2, (address *memory, size_t bytes))                                                \
    X(cuMemFree_v2, (address memory))                                                                \
    X(cuMemcpyHtoDAsync_v2, (address to, const void *from, size_t bytes, void *stream))              \
    X(cuMemcpyDtoHAsync_v2, (void *to, address from, size_t bytes, void *stream))                    \
    X(cuMemsetD16Async, (address memory, unsigned short value, size_t count, void *stream))          \
    X(cuModuleLoadData, (void **module, const void *image))                                          \
    X(cuModuleGetFunction, (void **function, void *module, const char *name))                        \
    X(cuModuleUnload, (void *module))                                                                \
    X(cuLaunchKernel, (void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, \
                       unsigned bz, unsigned shared, void *stream, void **params, void **extra))

#define NVRTC_FUNCTIONS(X)                                                                           \
    X(nvrtcVersion, (int *major, int *minor))                                                        \
    X(nvrtcGetNumSupportedArchs, (int *count))                                                       \
    X(nvrtcGetSupportedArchs, (int *archs))                                                          \
    X(nvrtcCreateProgram, (void **program, const char *text, const char *name, int headers,          \
                           const char *const *header_texts, const char *const *header_names))        \
    X(nvrtcCompileProgram, (void *program, int options, const char *const *list))                    \
    X(nvrtcGetProgramLogSize, (void *program, size_t *bytes))                                        \
    X(nvrtcGetProgramLog, (void *program, char *log))                                                \
    X(nvrtcGetCUBINSize, (void *program, size_t *bytes))                                             \
    X(nvrtcGetCUBIN, (void *program, char *image))                                                   \
    X(nvrtcGetPTXSize, (void *program, size_t *bytes))                                               \
    X(nvrtcGetPTX, (void *program, char *image))                                                     \
    X(nvrtcDestroyProgram, (void **program))

#define BLAS_FUNCTIONS(X)                                                                            \
    X(cublasCreate_v2, (void **handle))                                                              \
    X(cublasDestroy_v2, (void *handle))                                                              \
    X(cublasGetVersion_v2, (void *handle, int *version))                                             \
    X(cublasSetStream_v2, (void *handle, void *stream))                                              \
    X(cublasSetMathMode, (void *handle, int mode))                                                   \
    X(cublasGemmEx, (void *handle, int transa, int transb, int m, int n, int k, const void *alpha,   \
                     const void *a, int atype, int lda, const void *b, int btype, int ldb,           \
                     const void *beta, void *c, int ctype, int ldc, int compute, int algorithm))

#define DECLARE(name, args) int(*name) args;
struct launch_config;
struct driver {
    DRIVER_FUNCTIONS(DECLARE)
    // NULL in drivers before CUDA 11.8.
    DECLARE(cuLaunchKernelEx, (const struct launch_config *config, void *function, void **params, void **extra))
};
struct nvrtc { NVRTC_FUNCTIONS(DECLARE) };
struct blas { BLAS_FUNCTIONS(DECLARE) };
#undef DECLARE

// shim_open loads a library by name or path; on failure *why says why not.
void *shim_open(const char *name, const char **why);
// shim_path returns the file a library was loaded from, NULL if unknown.
const char *shim_path(void *library);
void shim_close(void *library);

// These fill a table from a library and return the first name it lacks, NULL
// when it has all.
const char *shim_driver(struct driver *table, void *library);
const char *shim_nvrtc(struct nvrtc *table, void *library);
const char *shim_blas(struct blas *table, void *library);

// One GPU: its primary context, one stream and a cuBLAS handle. A context is
// current to one OS thread and goroutines move between threads, so every
// function below first makes it current. They return the driver's status.
struct gpu {
    const struct driver *driver;
    const struct blas *blas;
    int device;
    void *context;
    void *stream;
    void *handle; // cuBLAS, NULL until gpu_blas
};

int shim_count(const struct driver *d, int *version, int *count);
int shim_describe(const struct driver *d, int ordinal, char *name, int size, int *major, int *minor,
                  int *multiprocessors, size_t *bytes);

int gpu_open(struct gpu *g, int ordinal);
void gpu_close(struct gpu *g);
int gpu_alloc(struct gpu *g, address *memory, size_t bytes);
int gpu_free(struct gpu *g, address memory);
int gpu_fill(struct gpu *g, address memory, unsigned short value, size_t count);
int gpu_write(struct gpu *g, address to, const void *from, size_t bytes); // waits
int gpu_read(struct gpu *g, void *to, address from, size_t bytes);        // does not wait
int gpu_wait(struct gpu *g);
int gpu_load(struct gpu *g, const void *image, void **module);
int gpu_function(struct gpu *g, void *module, const char *name, void **function);
// gpu_launch passes each slot's low bytes as one parameter. early lets the kernel
// begin before the work before it has ended, where the driver can.
int gpu_launch(struct gpu *g, void *function, const unsigned grid[3], const unsigned block[3], unsigned shared, int early,
               uint64_t *slots, int count);

// These return cuBLAS's status.
int gpu_blas(struct gpu *g, const struct blas *b, int *version);
struct product {
    int transa, transb, m, n, k;
    float alpha, beta;
    address a, b, c;
    int lda, ldb, ldc;
};
int gpu_product(struct gpu *g, const struct product *p); // f32 throughout

// shim_compile compiles one file to machine code for options that name a real
// architecture ("sm_90"), else to PTX. It returns NVRTC's status. *image and *log are malloc'ed
// and may be NULL.
int shim_compile(const struct nvrtc *n, const char *text, const char *name, int headers, const char *const *texts,
                 const char *const *names, int options, const char *const *list, int ptx, char **image, size_t *bytes,
                 char **log);
int shim_version(const struct nvrtc *n, int *major, int *minor);
// shim_archs writes up to most architectures (90 for sm_90) and returns how many there are.
int shim_archs(const struct nvrtc *n, int *archs, int most);
// shim_error copies the driver's name and words for a status.
void shim_error(const struct driver *d, int status, const char **name, const char **text);
