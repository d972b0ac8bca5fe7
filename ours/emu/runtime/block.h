// The state of the block that runs, shared by the scheduler and the functions
// that kernels call.
#pragma once

#include "context.h"
#include "emu.h"

namespace emu {

enum : unsigned {
    MAX_THREADS = 1024,
    WARP = 32,
    MAX_SHARED = 48 * 1024, // bytes
    SHARED_MARGIN = 2048,   // around shared memory, checked for stray writes
    PAGE = 4096,
};

// A NaN as f16, bf16 and f32 alike; launches poison memory with it too.
static const uint32_t POISON = 0x7fd57fd5u;
static const uint32_t GUARD = 0x7fea7feau; // the same, in guard zones

enum State : uint8_t { FRESH, READY, AT_BARRIER, AT_MEETING, DONE };

// One CUDA thread of the block.
struct Thread {
    State state;
    uint3 index; // threadIdx
    int fiber;   // the stack it runs on, once started
    // What it waits for, and what it brings and gets:
    enum emu_meeting kind;
    unsigned mask;
    int line;
    const char *file;
    uint64_t value;
    int source;
    uint64_t result;
};

extern Thread threads[MAX_THREADS];
extern unsigned thread_count;
extern unsigned current; // index of the running thread

// What a shuffle gives that reads a lane which takes no part.
extern uint64_t undefined;

// Leaves the current thread, which has said what it waits for, and returns
// when it may go on.
void wait();

// Ends the launch from inside a kernel with a status and the message already
// written.
[[noreturn]] void abandon(enum emu_status status);
extern char message[sizeof(emu_launch::message)];

} // namespace emu
