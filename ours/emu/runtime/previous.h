// What the kernel before this one wrote, hidden from one that has begun early.
#pragma once

#include "abi.h"

namespace emu {

// Begins a block: none of its warps has waited for the end of the kernel before.
void previous_begin(const emu_launch *launch);
// Shows the memory as a warp is to see it that runs on: poison until one of its
// lanes has waited.
void previous_turn(unsigned warp);
// Shows it as it is, but for what was written over the poison.
void previous_end();

} // namespace emu
