// Package evidence says whether what was shown on a GPU (traces/gpu) was shown
// of the present kernels.
//
// A machine without a GPU cannot run ours:cuda, but it can tell that the
// kernels are those that a GPU ran, and hold the emulator to what the GPU
// recorded. The package knows the files of traces/gpu. It must not know how they
// were made.
package evidence
