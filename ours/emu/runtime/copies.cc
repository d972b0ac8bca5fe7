#include "copies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"

namespace emu {

// A copy that was started.
struct Copy {
    char *to;
    const char *from;
    uint32_t size, zeros;
    uint32_t group; // how many groups its thread had closed before
};

// A thread's copies, oldest first.
struct Queue {
    Copy *list;
    uint32_t count, room;
    uint32_t groups; // closed
};

static Queue queues[MAX_THREADS];
static uint32_t unready; // what a destination holds until the copy happens

void copies_begin(uint32_t poison) {
    unready = poison;
    for (unsigned t = 0; t < thread_count; t++) {
        queues[t].count = queues[t].groups = 0;
    }
}

void copies_close() {
    for (Queue &q : queues) {
        free(q.list);
        q = {};
    }
}

static void add(Queue *q, const Copy &copy) {
    if (q->count == q->room) {
        const uint32_t room = q->room == 0 ? 16 : 2 * q->room;
        Copy *const list = (Copy *)realloc(q->list, room * sizeof(Copy));
        if (list == nullptr) {
            abandon(EMU_NO_MEMORY);
        }
        q->list = list;
        q->room = room;
    }
    q->list[q->count++] = copy;
}

} // namespace emu

using namespace emu;

extern "C" void emu_copy(void *to, const void *from, unsigned size, unsigned zeros) {
    const bool sized = size == 4 || size == 8 || size == 16;
    if (!sized || zeros > size || (uintptr_t)to % size != 0 || (uintptr_t)from % size != 0) {
        snprintf(message, sizeof(message), "an asynchronous copy of %u bytes, %u of them zeros, from %p to %p: 4, 8 or 16 bytes, both sides aligned to them",
                 size, zeros, from, to);
        abandon(EMU_ASSERT);
    }
    Queue *const q = &queues[current];
    add(q, {(char *)to, (const char *)from, size, zeros, q->groups});
    for (unsigned i = 0; unready != 0 && i < size; i += sizeof(unready)) {
        memcpy((char *)to + i, &unready, sizeof(unready));
    }
}

extern "C" void emu_copies_commit(void) { queues[current].groups++; }

extern "C" void emu_copies_wait(unsigned latest) {
    Queue *const q = &queues[current];
    uint32_t done = 0;
    for (; done < q->count && q->list[done].group + latest < q->groups; done++) {
        const Copy &copy = q->list[done];
        memcpy(copy.to, copy.from, copy.size - copy.zeros);
        memset(copy.to + copy.size - copy.zeros, 0, copy.zeros);
    }
    q->count -= done;
    memmove(q->list, q->list + done, q->count * sizeof(Copy));
}
