// Stacks for CUDA threads that wait. A thread that never waits runs to its end
// on a stack that the next thread takes over.
#pragma once

#include "context.h"

namespace emu {

// Takes a free fiber, making one if need be; -1 without memory.
int fiber_take(void (*entry)());
// Gives a fiber back; its context must be parked at a place that may be
// continued for another thread.
void fiber_free(int fiber);
// Makes all fibers free and as new, whatever ran on them.
void fiber_reset(void (*entry)());
// Unmaps all stacks.
void fiber_close();

Context *fiber_context(int fiber);
// Reports whether the address lies in the guard page below a fiber's stack.
bool fiber_overflow(const void *address);

} // namespace emu
