#include "schedule.h"

#include "abi.h"

namespace emu {

static uint32_t order;
static uint64_t state;

// splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
static uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void schedule_begin(uint32_t which, uint64_t seed) {
    order = which;
    state = seed;
}

void schedule(uint32_t *list, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        list[i] = order == EMU_REVERSE ? n - 1 - i : i;
    }
    if (order != EMU_SHUFFLE) {
        return;
    }
    for (uint32_t i = n; i > 1; i--) { // Fisher and Yates
        const uint32_t j = next() % i;
        const uint32_t held = list[i - 1];
        list[i - 1] = list[j];
        list[j] = held;
    }
}

} // namespace emu
