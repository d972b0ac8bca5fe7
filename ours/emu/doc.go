// Package emu runs our CUDA kernels on the CPU, as a device.Device.
//
// Like a GPU driver with NVRTC it takes the kernels as text when the device
// opens, so a planted fault or a mutant is simply another text. The host's C++
// compiler turns them into a shared library (cached on disk) that is loaded
// with dlopen. Every CUDA thread of a block has a stack of its own, so that
// barriers, shuffles and votes mean what they mean on a GPU; runtime/ holds
// that part, in C++.
//
// With Options.Checks the device finds what a GPU lets pass: writes outside a
// buffer, outputs left unwritten, reads of memory nobody wrote (they read NaN),
// barriers that not all threads reach, wild addresses. Each is reported with
// kernel and tap. A read a little outside a buffer finds NaN; Options.Edge has
// it stopped and reported, on one side of every buffer, Options.Bounds an index
// outside a local or static __shared__ array. What a kernel has to wait for -
// its asynchronous copies and, launched early, the kernel before it - is NaN
// until it has waited (runtime/async.h). What the device cannot see: an index
// that is wrong but inside some buffer is legal here as on a GPU; a missing
// __threadfence and a kernel that never ends are not noticed.
//
// GEMM is not emulated: it is BLAS (gonum) behind cuBLAS's description.
//
// The package knows kernels, memory and BLAS. It must not know the model, the
// tensors or what right values are.
package emu
