// Runs a launch: block after block, and in each block one warp as far as it
// gets before the next. Running a warp ahead of the others, rather than all in
// step, is what makes a missing barrier visible: the late warps read what the
// early one has already overwritten, or not yet what they should have.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "copies.h"
#include "fiber.h"
#include "meet.h"
#include "previous.h"
#include "schedule.h"
#include "shared.h"

#pragma GCC visibility push(hidden)
extern "C" {
uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
}
#pragma GCC visibility pop

namespace emu {

Thread threads[MAX_THREADS];
unsigned thread_count;
unsigned current;
char message[sizeof(emu_launch::message)];

static const emu_launch *launch;
static Context scheduler;   // emu_run's own context while a kernel runs
static bool in_kernel;      // for the signal handler
static bool abandoned;      // the launch is over, its outcome in the next three
static enum emu_status outcome;
static int fault_signal;
static uint64_t fault_address;

// One pass over a warp's lanes.
static uint32_t pass[WARP];
static unsigned pass_length, pass_position;

static void make_current(unsigned thread) {
    current = thread;
    threadIdx = threads[thread].index;
}

static void fiber_main();

// Makes the next thread of the pass that can run the current one and returns
// its context; the scheduler's when the pass is over.
static Context *next_in_pass() {
    while (++pass_position < pass_length) {
        Thread &thread = threads[pass[pass_position]];
        if (thread.state == FRESH) {
            thread.fiber = fiber_take(fiber_main);
            if (thread.fiber < 0) {
                abandoned = true;
                outcome = EMU_NO_MEMORY;
                break;
            }
        } else if (thread.state != READY) {
            continue;
        }
        make_current(pass[pass_position]);
        return fiber_context(thread.fiber);
    }
    return &scheduler;
}

// What every fiber runs: the current thread, and then whichever it is taken
// for next. That is at once if the next thread has not started: the fiber freed
// last is taken first.
static void fiber_main() {
    for (;;) {
        launch->kernel->call(launch->args);
        Thread &thread = threads[current];
        thread.state = DONE;
        fiber_free(thread.fiber);
        Context *const own = fiber_context(thread.fiber);
        Context *const next = next_in_pass();
        if (next != own) {
            context_switch(own, next);
        }
    }
}

void wait() {
    Context *const own = fiber_context(threads[current].fiber);
    context_switch(own, next_in_pass());
}

void abandon(enum emu_status status) {
    abandoned = true;
    outcome = status;
    context_switch(fiber_context(threads[current].fiber), &scheduler);
    __builtin_unreachable(); // abandoned threads are never continued
}

// Runs the warp's lanes until all have returned or wait for other warps, or
// the launch is abandoned.
static void run_warp(unsigned warp) {
    const unsigned first = warp * WARP;
    pass_length = thread_count - first < WARP ? thread_count - first : WARP;
    previous_turn(warp);
    do {
        schedule(pass, pass_length);
        for (unsigned i = 0; i < pass_length; i++) {
            pass[i] += first;
        }
        pass_position = ~0u; // before the first
        Context *const start = next_in_pass();
        if (start != &scheduler) {
            in_kernel = true;
            context_switch(&scheduler, start);
            in_kernel = false;
        }
    } while (!abandoned && release_meetings(warp));
}

// Runs the block's threads to their end; false if the launch is over.
static bool run_threads() {
    for (unsigned t = 0; t < thread_count; t++) {
        threads[t].state = FRESH;
    }
    const unsigned warps = (thread_count + WARP - 1) / WARP;
    for (;;) {
        uint32_t list[MAX_THREADS / WARP];
        schedule(list, warps);
        for (unsigned i = 0; i < warps; i++) {
            run_warp(list[i]);
            if (abandoned) {
                return false;
            }
        }
        const Barrier barrier = release_barrier();
        if (barrier == BARRIER_FINISHED) {
            return true;
        }
        if (barrier == BARRIER_DIVERGED) {
            outcome = EMU_DIVERGED;
            return false;
        }
    }
}

// Runs one block; false if the launch is over.
static bool run_block() {
    if (launch->poison) {
        shared_poison(launch->shared_bytes, launch->poison);
    }
    copies_begin(launch->poison);
    previous_begin(launch);
    const bool finished = run_threads();
    previous_end();
    if (!finished) {
        return false;
    }
    if (launch->poison && !shared_intact(launch->shared_bytes)) {
        outcome = EMU_SHARED_OVERFLOW;
        return false;
    }
    return true;
}

// Numbers the threads of a block: x runs fastest, as in CUDA.
static void number_threads() {
    unsigned t = 0;
    for (unsigned z = 0; z < blockDim.z; z++) {
        for (unsigned y = 0; y < blockDim.y; y++) {
            for (unsigned x = 0; x < blockDim.x; x++) {
                threads[t++].index = {x, y, z};
            }
        }
    }
    thread_count = t;
}

static bool run_blocks() {
    const uint32_t blocks = gridDim.x * gridDim.y * gridDim.z;
    uint32_t *const list = (uint32_t *)malloc(blocks * sizeof(uint32_t));
    if (list == nullptr) {
        outcome = EMU_NO_MEMORY;
        return false;
    }
    schedule(list, blocks);
    bool ok = true;
    for (uint32_t i = 0; ok && i < blocks; i++) {
        blockIdx.x = list[i] % gridDim.x;
        blockIdx.y = list[i] / gridDim.x % gridDim.y;
        blockIdx.z = list[i] / gridDim.x / gridDim.y;
        ok = run_block();
    }
    free(list);
    return ok;
}

} // namespace emu

using namespace emu;

extern "C" __attribute__((visibility("default"))) void emu_run(struct emu_launch *l) {
    launch = l;
    gridDim = dim3(l->grid[0], l->grid[1], l->grid[2]);
    blockDim = dim3(l->block[0], l->block[1], l->block[2]);
    schedule_begin(l->order, l->seed);
    undefined = (uint64_t)(l->poison ? l->poison : POISON) * 0x100000001u;
    number_threads();
    abandoned = false;
    outcome = EMU_OK;
    message[0] = 0;
    if (!run_blocks()) {
        fiber_reset(fiber_main);
        const uint3 at = threads[current].index;
        l->at_block[0] = blockIdx.x, l->at_block[1] = blockIdx.y, l->at_block[2] = blockIdx.z;
        l->at_thread[0] = at.x, l->at_thread[1] = at.y, l->at_thread[2] = at.z;
        l->signal = fault_signal;
        l->address = fault_address;
        memcpy(l->message, message, sizeof(message));
    }
    l->status = outcome;
}

// Turns a crash into an outcome where the machine allows it: the handler's
// return lands in run_warp as if the pass were over. Otherwise names the
// kernel on stderr, and the caller lets the signal take its course.
extern "C" __attribute__((visibility("default"))) int emu_signal(int signal, void *address, void *context) {
    if (!in_kernel) {
        return 0;
    }
    in_kernel = false;
    abandoned = true;
    outcome = EMU_FAULT;
    fault_signal = signal;
    fault_address = (uint64_t)address;
    if (signal == SIGSEGV && fiber_overflow(address)) {
        snprintf(message, sizeof(message), "stack overflow");
    }
    if (context_land(context, &scheduler)) {
        return 1;
    }
    const uint3 at = threads[current].index;
    char line[256];
    const int n = snprintf(line, sizeof(line), "%s crashed with signal %d at block (%u,%u,%u) thread (%u,%u,%u)\n",
                           launch->label, signal, blockIdx.x, blockIdx.y, blockIdx.z, at.x, at.y, at.z);
    if (write(STDERR_FILENO, line, n) < 0) {
        return 0; // nobody listens
    }
    return 0;
}

extern "C" __attribute__((visibility("default"))) void emu_close(void) {
    fiber_close();
    copies_close();
}
