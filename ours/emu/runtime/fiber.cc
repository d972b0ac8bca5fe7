#include "fiber.h"

#include <stdint.h>
#include <sys/mman.h>

#include "block.h"

namespace emu {

static const size_t GUARD_PAGE = 64 * 1024; // a multiple of every page size in use
static const size_t STACK = 256 * 1024;     // address space; only touched pages cost memory

static Context contexts[MAX_THREADS];
static char *stacks[MAX_THREADS];
static int made = 0;
static int free_fibers[MAX_THREADS];
static int free_count = 0;

// Stacks start at different cache lines. At the same offset in every stack the
// same local variable of all threads would fall into one set of the cache.
static void prepare(int fiber, void (*entry)()) {
    const size_t colour = (size_t)(fiber % 61) * 64;
    char *const top = stacks[fiber] + GUARD_PAGE + STACK - colour;
    context_prepare(&contexts[fiber], top, STACK - colour, entry);
}

int fiber_take(void (*entry)()) {
    if (free_count > 0) {
        return free_fibers[--free_count];
    }
    if (made == (int)MAX_THREADS) {
        return -1;
    }
    void *const memory = mmap(nullptr, GUARD_PAGE + STACK, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return -1;
    }
    mprotect(memory, GUARD_PAGE, PROT_NONE);
    stacks[made] = (char *)memory;
    prepare(made, entry);
    return made++;
}

void fiber_free(int fiber) { free_fibers[free_count++] = fiber; }

void fiber_reset(void (*entry)()) {
    free_count = 0;
    for (int fiber = made - 1; fiber >= 0; fiber--) {
        prepare(fiber, entry);
        fiber_free(fiber);
    }
}

void fiber_close() {
    for (int fiber = 0; fiber < made; fiber++) {
        munmap(stacks[fiber], GUARD_PAGE + STACK);
    }
    made = free_count = 0;
}

Context *fiber_context(int fiber) { return &contexts[fiber]; }

bool fiber_overflow(const void *address) {
    for (int fiber = 0; fiber < made; fiber++) {
        const uintptr_t offset = (uintptr_t)address - (uintptr_t)stacks[fiber];
        if (offset < GUARD_PAGE) {
            return true;
        }
    }
    return false;
}

} // namespace emu
