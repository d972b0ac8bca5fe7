// Linked last, so that this ends the library's thread-local storage and with it
// the kernels' static __shared__ variables; see shared.cc.
#include "block.h"

extern "C" __thread char emu_shared_end[emu::SHARED_MARGIN];
__thread char emu_shared_end[emu::SHARED_MARGIN] __attribute__((aligned(16)));
