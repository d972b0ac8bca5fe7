// The order in which blocks, warps and lanes run.
#pragma once

#include <stdint.h>

namespace emu {

// Sets the order (enum emu_order) for a launch.
void schedule_begin(uint32_t order, uint64_t seed);
// Writes the numbers 0 to n-1 into list in the order; a shuffled order is a
// new one at each call.
void schedule(uint32_t *list, uint32_t n);

} // namespace emu
