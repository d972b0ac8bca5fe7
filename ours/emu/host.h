// The cgo side of a kernel library: loading it and running launches under a
// signal handler that tells it of crashes.
#pragma once

#include "runtime/abi.h"

#define HOST_MAX_ARGS 64
#define HOST_LABEL 256

// A launch with the memory its pointers point to; it lies outside Go's heap.
struct host_job {
    struct emu_launch launch;
    uint64_t args[HOST_MAX_ARGS];
    char label[HOST_LABEL];
};

// Opens a library; NULL with dlerror's text in *why, which lives until the
// thread's next call.
void *host_open(const char *path, const char **why);
// Address of a symbol, NULL if there is none.
void *host_symbol(void *library, const char *name);
// Runs the job with the library's emu_run and emu_signal.
void host_run(void *run, void *on_signal, struct host_job *job);
// Calls the library's emu_close and unloads it.
void host_close(void *library, void *close);
