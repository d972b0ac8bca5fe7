// Letting waiting threads go on.
#pragma once

#include "block.h"

namespace emu {

// Lets every complete group of the warp's lanes go on; false if there was none.
// A group is complete when all lanes its mask names that have not returned
// have come, by the same function with the same mask.
bool release_meetings(unsigned warp);

// What became of the block when no warp could run on.
enum Barrier { BARRIER_RELEASED, BARRIER_FINISHED, BARRIER_DIVERGED };

// Lets all threads go on if those that have not returned wait at the same
// barrier, the same place in the source: CUDA allows __syncthreads in
// conditional code only if all threads of the block agree on the condition.
// Otherwise writes the message.
Barrier release_barrier();

} // namespace emu
