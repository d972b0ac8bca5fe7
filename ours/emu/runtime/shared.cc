#include "shared.h"

#include <stdio.h>
#include <sys/mman.h>

#include "block.h"

// Static __shared__ variables are thread-local (see emu.h), so together they
// are this library's thread-local storage, in the order in which its objects
// are linked. This unit comes first and shared_end.cc last; what they add marks
// where the kernels' variables begin and end. (__thread, because access to an
// extern thread_local goes through a function.)
extern "C" {
__thread char emu_shared_begin[emu::SHARED_MARGIN] __attribute__((aligned(16)));
extern __thread char emu_shared_end[emu::SHARED_MARGIN];

alignas(emu::PAGE) struct emu_dynamic emu_dynamic;
}

static_assert(sizeof(emu_dynamic.memory) >= emu::MAX_SHARED + emu::SHARED_MARGIN, "room for the margin");

// Runs when the library is loaded. On machines with larger pages it fails, and
// the fence is missing.
__attribute__((constructor)) static void fence() {
    mprotect(emu_dynamic.before, sizeof(emu_dynamic.before), PROT_NONE);
    mprotect(emu_dynamic.after, sizeof(emu_dynamic.after), PROT_NONE);
}

namespace emu {

static void fill(char *from, const char *to, uint32_t pattern) {
    for (; from + sizeof(pattern) <= to; from += sizeof(pattern)) {
        memcpy(from, &pattern, sizeof(pattern));
    }
}

// The offset of the first byte of a margin that was written to, or -1.
static int damage(const char *margin) {
    for (uint32_t i = 0; i < SHARED_MARGIN; i += sizeof(GUARD)) {
        if (memcmp(margin + i, &GUARD, sizeof(GUARD)) != 0) {
            return (int)i;
        }
    }
    return -1;
}

// Dynamic shared memory is padded to whole words.
static char *dynamic_end(uint32_t bytes) { return emu_dynamic_shared + ((bytes + 3) & ~3u); }

void shared_poison(uint32_t bytes, uint32_t poison) {
    fill(emu_shared_begin, emu_shared_begin + SHARED_MARGIN, GUARD);
    fill(emu_shared_begin + SHARED_MARGIN, emu_shared_end, poison);
    fill(emu_shared_end, emu_shared_end + SHARED_MARGIN, GUARD);
    fill(emu_dynamic_shared, dynamic_end(bytes), poison);
    fill(dynamic_end(bytes), dynamic_end(bytes) + SHARED_MARGIN, GUARD);
}

bool shared_intact(uint32_t bytes) {
    const int past = damage(dynamic_end(bytes));
    if (past >= 0) {
        snprintf(message, sizeof(message), "wrote past the end of its %u bytes of dynamic shared memory, at byte %d", bytes,
                 (int)(dynamic_end(bytes) - emu_dynamic_shared) + past);
        return false;
    }
    if (damage(emu_shared_begin) >= 0 || damage(emu_shared_end) >= 0) {
        snprintf(message, sizeof(message), "wrote outside its static shared memory");
        return false;
    }
    return true;
}

} // namespace emu
