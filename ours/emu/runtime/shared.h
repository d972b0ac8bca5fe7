// The shared memory of the block that runs.
#pragma once

#include <stdint.h>

namespace emu {

// Fills static shared memory and the first bytes of dynamic shared memory with
// NaN and what follows with the guard pattern.
void shared_poison(uint32_t bytes);

// Reports whether no thread wrote past the bytes of dynamic shared memory;
// writes the message if one did.
bool shared_intact(uint32_t bytes);

} // namespace emu
