// Package device is what our forward pass asks of a GPU: memory, kernel
// launches and GEMM. ours/emu provides it on the CPU; a CUDA device provides
// it through the driver API, NVRTC and cuBLAS.
//
// Everything is asynchronous in spirit: a program may only read a buffer
// through Download, which waits. Errors name the kernel and the tap.
package device
