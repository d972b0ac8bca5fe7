// What the kernel before this one wrote, hidden from one that has begun early.
#pragma once

#include "abi.h"

namespace emu {

// Hides it from the block that is about to run: the memory holds poison until
// one of the block's threads waits for the end of the kernel before.
void previous_hide(const emu_launch *launch);
// Brings it back, but for what the block wrote over the poison.
void previous_show();

} // namespace emu
