// Where threads meet: barriers, shuffles and votes. A thread notes what it
// waits for and leaves; release_meetings and release_barrier, called by the
// scheduler when nothing else can run, let complete groups go on.
#include "meet.h"

#include <stdio.h>

namespace emu {

static const char *const names[] = {"__syncthreads",    "__syncwarp",       "__shfl_sync", "__shfl_up_sync",
                                    "__shfl_down_sync", "__shfl_xor_sync", "a warp vote"};

uint64_t undefined;

// Lanes of the warp that have not returned.
static unsigned live_lanes(unsigned warp) {
    unsigned live = 0;
    for (unsigned lane = 0; lane < WARP && warp * WARP + lane < thread_count; lane++) {
        if (threads[warp * WARP + lane].state != DONE) {
            live |= 1u << lane;
        }
    }
    return live;
}

// Gives every lane of a complete group its result.
static void conclude(Thread *first, unsigned lanes) {
    unsigned votes = 0;
    for (unsigned rest = lanes; rest != 0; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest);
        votes |= (unsigned)(first[lane].value != 0) << lane;
    }
    for (unsigned rest = lanes; rest != 0; rest &= rest - 1) {
        Thread &thread = first[__builtin_ctz(rest)];
        if (thread.kind == EMU_VOTE) {
            thread.result = votes;
        } else if (lanes >> thread.source & 1) {
            thread.result = first[thread.source].value;
        } else {
            thread.result = undefined;
        }
        thread.state = READY;
    }
}

bool release_meetings(unsigned warp) {
    Thread *const first = &threads[warp * WARP];
    const unsigned live = live_lanes(warp);
    unsigned waiting = 0;
    for (unsigned rest = live; rest != 0; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest);
        waiting |= (unsigned)(first[lane].state == AT_MEETING) << lane;
    }
    bool released = false;
    while (waiting != 0) {
        const Thread &thread = first[__builtin_ctz(waiting)];
        unsigned lanes = 0; // those that wait for the same thing
        for (unsigned rest = waiting; rest != 0; rest &= rest - 1) {
            const int lane = __builtin_ctz(rest);
            lanes |= (unsigned)(first[lane].kind == thread.kind && first[lane].mask == thread.mask) << lane;
        }
        waiting &= ~lanes;
        if (lanes == (thread.mask & live)) {
            conclude(first, lanes);
            released = true;
        }
    }
    return released;
}

// Writes where a thread waits, as "thread (32,0,0) waits in __syncthreads at rope.cu:12".
static int describe(char *to, size_t size, const Thread &t) {
    return snprintf(to, size, "thread (%u,%u,%u) waits in %s at %s:%d", t.index.x, t.index.y, t.index.z, names[t.kind],
                    t.file, t.line);
}

// Reports whether two threads wait at the same place for the same thing.
static bool together(const Thread &a, const Thread &b) {
    return a.kind == b.kind && a.mask == b.mask && a.line == b.line &&
           (a.file == b.file || strcmp(a.file, b.file) == 0);
}

// Writes that two threads cannot both go on.
static void diverged(const Thread &a, const Thread &b) {
    int n = describe(message, sizeof(message), a);
    n += snprintf(message + n, sizeof(message) - n, " while ");
    describe(message + n, sizeof(message) - n, b);
}

Barrier release_barrier() {
    const Thread *first = nullptr;
    int count = 0;
    for (unsigned t = 0; t < thread_count; t++) {
        const Thread &thread = threads[t];
        if (thread.state == DONE) {
            continue;
        }
        if (first == nullptr) {
            first = &thread;
        }
        if (!together(thread, *first)) {
            diverged(*first, thread);
            return BARRIER_DIVERGED;
        }
        count += thread.value != 0;
    }
    if (first == nullptr) {
        return BARRIER_FINISHED;
    }
    if (first->state != AT_BARRIER) {
        const int n = describe(message, sizeof(message), *first);
        snprintf(message + n, sizeof(message) - n, " for lanes that never come");
        return BARRIER_DIVERGED;
    }
    for (unsigned t = 0; t < thread_count; t++) {
        if (threads[t].state == AT_BARRIER) {
            threads[t].result = count;
            threads[t].state = READY;
        }
    }
    return BARRIER_RELEASED;
}

} // namespace emu

using namespace emu;

// Notes what the current thread waits for and leaves it.
static uint64_t meet(State state, enum emu_meeting kind, unsigned mask, uint64_t value, int source, const char *file,
                     int line) {
    Thread &thread = threads[current];
    thread.kind = kind;
    thread.mask = mask;
    thread.value = value;
    thread.source = source;
    thread.file = file;
    thread.line = line;
    thread.state = state;
    wait();
    return thread.result;
}

extern "C" int emu_barrier(int predicate, const char *file, int line) {
    return (int)meet(AT_BARRIER, EMU_SYNCTHREADS, ~0u, predicate, 0, file, line);
}

extern "C" uint64_t emu_meet(enum emu_meeting kind, unsigned mask, uint64_t value, int source, const char *file,
                             int line) {
    if (!(mask >> (current % WARP) & 1)) {
        // A lane outside its own mask is undefined behaviour: it gets garbage
        // and waits for nobody.
        return undefined;
    }
    return meet(AT_MEETING, kind, mask, value, source, file, line);
}

extern "C" unsigned emu_live_lanes(void) { return live_lanes(current / WARP); }

extern "C" int emu_lane(void) { return current % WARP; }

extern "C" void emu_assert_failed(const char *condition, const char *file, int line) {
    snprintf(message, sizeof(message), "assertion %s failed at %s:%d", condition, file, line);
    abandon(EMU_ASSERT);
}
