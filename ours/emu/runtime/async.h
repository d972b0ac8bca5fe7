// Work that goes on beside the thread that started it: copies into shared memory
// (cuda_pipeline_primitives.h) and a kernel that begins before the one before it
// has ended (CUDA C++ Programming Guide, "Programmatic Dependent Launch").
//
// A GPU may be as late as it is allowed to be, so here it always is: a copy
// happens when its thread waits for it, and what the kernel before wrote is there
// once the wait for its end is over.
#pragma once

// Starts to copy size bytes, 4, 8 or 16, of which the last zeros are zeros and
// not read.
static inline void __pipeline_memcpy_async(void *shared, const void *global, size_t size, size_t zeros = 0) {
    emu_copy(shared, global, (unsigned)size, (unsigned)zeros);
}
// Closes a group of copies.
static inline void __pipeline_commit() { emu_copies_commit(); }
// Waits for this thread's groups but the latest ones.
static inline void __pipeline_wait_prior(size_t latest) { emu_copies_wait((unsigned)latest); }

// Lets the next kernel begin: it has no need to, blocks run one after the other.
static inline void cudaTriggerProgrammaticLaunchCompletion() {}
// Waits for the end of the kernel before and for what it wrote.
static inline void cudaGridDependencySynchronize() { emu_previous_ended(); }
