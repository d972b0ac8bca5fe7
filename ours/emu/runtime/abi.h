// The interface between a compiled kernel library and its host (host.c): plain
// C, because one side is cgo and the other is loaded with dlopen.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// How a launch ended.
enum emu_status {
    EMU_OK = 0,
    EMU_DIVERGED,        // threads wait for each other and none can go on
    EMU_FAULT,           // a signal: wild address, division by zero, trap
    EMU_SHARED_OVERFLOW, // a write past the dynamic shared memory
    EMU_ASSERT,          // assert() failed in a kernel
    EMU_NO_MEMORY,       // no stack for another thread
};

// The order in which blocks, warps and lanes run between two barriers.
enum emu_order { EMU_FORWARD = 0, EMU_REVERSE, EMU_SHUFFLE };

// One kernel, exported by the library as emu_kernel_NAME.
struct emu_kernel {
    void (*call)(const uint64_t *args); // runs one thread of it
};

// Memory that the launch before wrote, and as many bytes to keep it in.
struct emu_region {
    char *data, *kept;
    uint64_t size;
};

// One launch and its outcome.
struct emu_launch {
    const struct emu_kernel *kernel;
    const uint64_t *args; // one 64-bit slot per parameter, low bytes first
    const char *label;    // "kernel rope_neox (tap s0000.l03.q_rope)"
    uint64_t seed;        // for EMU_SHUFFLE
    uint32_t grid[3], block[3];
    uint32_t shared_bytes;
    uint32_t order;  // enum emu_order
    uint32_t poison; // non-zero: what to fill shared memory with before each block and what undefined shuffles give
    // What a launch that may begin before the one before has ended does not see
    // until it has waited; none for others.
    const struct emu_region *previous;
    uint32_t previous_count;

    uint32_t status; // enum emu_status
    int32_t signal;  // for EMU_FAULT
    uint64_t address;
    uint32_t at_block[3], at_thread[3];
    char message[400]; // for the other failures
};

// Exported by the library. emu_run runs one launch and fills in its outcome;
// one launch at a time. emu_signal is called from a signal handler on the
// launching thread; it returns 0 when the signal does not stem from a kernel.
// emu_close frees the stacks.
typedef void emu_run_fn(struct emu_launch *launch);
typedef int emu_signal_fn(int signal, void *address, void *context);
typedef void emu_close_fn(void);

#ifdef __cplusplus
}
#endif
