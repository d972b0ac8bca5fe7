#include "shared.h"

#include <link.h>
#include <stdio.h>

#include "block.h"

extern "C" {
alignas(16) char emu_dynamic_shared[emu::MAX_SHARED + emu::SHARED_GUARD];
}

namespace emu {

// Static __shared__ variables are thread_local (see emu.h), so together they
// are this library's block of thread-local storage. This one is ours: it marks
// the block and makes sure that there is one.
static thread_local char marker[16];

// The block's extent on this OS thread.
struct Block {
    char *marker;
    char *start;
    size_t size;
};

static int find(struct dl_phdr_info *module, size_t, void *data) {
    Block *const block = (Block *)data;
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const auto &header = module->dlpi_phdr[i];
        if (header.p_type != PT_TLS || module->dlpi_tls_data == nullptr) {
            continue;
        }
        char *const start = (char *)module->dlpi_tls_data;
        if (start <= block->marker && block->marker < start + header.p_memsz) {
            block->start = start;
            block->size = header.p_memsz;
            return 1;
        }
    }
    return 0;
}

// Fills whole words with the pattern.
static void fill(char *from, size_t bytes, uint32_t pattern) {
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        memcpy(from + i, &pattern, 4);
    }
}

// Dynamic shared memory is padded to whole words.
static uint32_t padded(uint32_t bytes) { return (bytes + 3) & ~3u; }

void shared_poison(uint32_t bytes) {
    static Block block;
    if (block.marker != marker) { // the first launch on this OS thread
        block = {marker, nullptr, 0};
        dl_iterate_phdr(find, &block);
    }
    fill(block.start, block.size, POISON);
    fill(emu_dynamic_shared, padded(bytes), POISON);
    fill(emu_dynamic_shared + padded(bytes), SHARED_GUARD, GUARD);
}

bool shared_intact(uint32_t bytes) {
    for (uint32_t i = padded(bytes); i < padded(bytes) + SHARED_GUARD; i += 4) {
        if (memcmp(emu_dynamic_shared + i, &GUARD, 4) != 0) {
            snprintf(message, sizeof(message), "wrote past the end of its %u bytes of dynamic shared memory, at byte %u",
                     bytes, i);
            return false;
        }
    }
    return true;
}

} // namespace emu
