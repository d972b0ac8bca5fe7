// A stand-in for libggml-cuda.so that comes as far as a plan says, for tests
// where there is no GPU. The structs are the beginnings of ggml's
// (ggml-backend-impl.h).
#include <stddef.h>
#include <stdio.h>

struct reg {
    int api_version;
    const char *(*get_name)(struct reg *);
    size_t (*get_device_count)(struct reg *);
    void *(*get_device)(struct reg *, size_t);
    void *(*get_proc_address)(struct reg *, const char *);
    void *context;
};

static void (*sink)(int, const char *, void *);

// In a real library this is libggml-base.so's.
void ggml_log_set(void (*callback)(int, const char *, void *), void *unused) { sink = callback; }

#ifndef NO_INIT
static const char *name(struct reg *r) { return "CUDA"; }
static size_t no_devices(struct reg *r) { return 0; }

static struct reg backend = {API_VERSION, name, no_devices, NULL, NULL, NULL};

struct reg *ggml_backend_init(void) {
    if (sink != NULL) {
        sink(4, "ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected\n", NULL); // GGML_LOG_LEVEL_ERROR
    }
    return &backend;
}
#endif
