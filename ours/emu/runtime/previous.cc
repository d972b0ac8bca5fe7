#include "previous.h"

#include <string.h>

#include "block.h"

namespace emu {

static const emu_launch *early;
static uint16_t pattern;
static bool hidden;
static bool waited[MAX_THREADS / WARP]; // by warp

static void hide() {
    if (hidden) {
        return;
    }
    hidden = true;
    for (uint32_t r = 0; r < early->previous_count; r++) {
        const emu_region &region = early->previous[r];
        memcpy(region.kept, region.data, region.size);
        for (uint64_t i = 0; i + sizeof(pattern) <= region.size; i += sizeof(pattern)) {
            memcpy(region.data + i, &pattern, sizeof(pattern));
        }
    }
}

static void show() {
    if (!hidden) {
        return;
    }
    hidden = false;
    for (uint32_t r = 0; r < early->previous_count; r++) {
        const emu_region &region = early->previous[r];
        for (uint64_t i = 0; i + sizeof(pattern) <= region.size; i += sizeof(pattern)) {
            if (memcmp(region.data + i, &pattern, sizeof(pattern)) == 0) {
                memcpy(region.data + i, region.kept + i, sizeof(pattern));
            }
        }
    }
}

void previous_begin(const emu_launch *launch) {
    early = launch;
    pattern = (uint16_t)launch->poison;
    memset(waited, 0, sizeof(waited));
}

void previous_turn(unsigned warp) {
    if (early->previous_count == 0 || waited[warp]) {
        show();
    } else {
        hide();
    }
}

void previous_end() { show(); }

} // namespace emu

using namespace emu;

extern "C" void emu_previous_ended(void) {
    waited[current / WARP] = true;
    previous_turn(current / WARP);
}
