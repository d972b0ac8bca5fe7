// Asynchronous copies that wait for their thread to wait for them.
#pragma once

#include <stdint.h>

namespace emu {

// Forgets all copies of a block's threads, before it runs. poison, if not 0, is
// what a copy leaves at its destination until it happens.
void copies_begin(uint32_t poison);
// Frees what the queues hold.
void copies_close();

} // namespace emu
