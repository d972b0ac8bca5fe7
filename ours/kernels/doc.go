// Package kernels holds the CUDA kernels of our forward pass as text: one .cu
// file per kernel family, embedded so that a device compiles them when it
// opens (ours/emu with the host's C++ compiler, a GPU through NVRTC). Go's
// build does not look inside .cu files, so [Source.Digest] says which text a
// trace was made with.
//
// Conventions that [Source.Kernels] reads and enforces:
//
//   - a kernel is declared `extern "C" __global__ void NAME(PARAMETERS)`;
//   - a parameter is a pointer, a 32-bit integer or a float, which is what
//     device.Arg can carry;
//   - the comment block directly above a kernel names the taps it writes in a
//     line `tap: attn_norm, ffn_norm`; a kernel without one writes no tap.
//
// The package knows text. It must not know how kernels are compiled, launched
// or composed into a forward pass.
package kernels
