// The shared memory of the block that runs.
#pragma once

#include <stdint.h>

namespace emu {

// Fills static shared memory and the first bytes of dynamic shared memory with
// NaN, and the margins around them with the guard pattern.
void shared_poison(uint32_t bytes, uint32_t poison);

// Reports whether the margins are as shared_poison left them; writes the
// message if a thread wrote to one.
bool shared_intact(uint32_t bytes);

} // namespace emu
