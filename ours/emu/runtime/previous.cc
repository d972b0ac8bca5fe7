#include "previous.h"

#include <string.h>

#include "emu.h"

namespace emu {

static const emu_launch *hidden; // the launch that it is hidden from, null when it is not
static uint16_t pattern;

void previous_hide(const emu_launch *launch) {
    if (launch->previous_count == 0 || launch->poison == 0) {
        return;
    }
    hidden = launch;
    pattern = (uint16_t)launch->poison;
    for (uint32_t r = 0; r < launch->previous_count; r++) {
        const emu_region &region = launch->previous[r];
        memcpy(region.kept, region.data, region.size);
        for (uint64_t i = 0; i + sizeof(pattern) <= region.size; i += sizeof(pattern)) {
            memcpy(region.data + i, &pattern, sizeof(pattern));
        }
    }
}

void previous_show() {
    if (hidden == nullptr) {
        return;
    }
    for (uint32_t r = 0; r < hidden->previous_count; r++) {
        const emu_region &region = hidden->previous[r];
        for (uint64_t i = 0; i + sizeof(pattern) <= region.size; i += sizeof(pattern)) {
            if (memcmp(region.data + i, &pattern, sizeof(pattern)) == 0) {
                memcpy(region.data + i, region.kept + i, sizeof(pattern));
            }
        }
    }
    hidden = nullptr;
}

} // namespace emu

extern "C" void emu_previous_ended(void) { emu::previous_show(); }
