// Package cuda runs our CUDA kernels on an NVIDIA GPU, as a device.Device.
//
// Nothing of NVIDIA's is needed to build it: the driver (libcuda.so.1), the
// compiler (libnvrtc) and the matrix library (libcublas) are found and loaded
// when a device opens, through prototypes of our own (shim.h). Without them
// [Open] fails with one line that says which is missing, and [Probe] lists what
// was found.
//
// Kernels come as text when the device opens, so a planted fault or a mutant is
// simply another text. NVRTC compiles each file for the GPU found; the machine
// code is cached on disk by everything that went into it. cuda_fp16.h and
// cuda_bf16.h are this package's own (device/), so that no toolkit has to be
// installed; what they offer is what ours/emu offers.
//
// GEMM is cuBLAS, in true f32: pedantic math, no TF32. cuBLAS has no product of
// f16 weights and f32 activations, so 16-bit operands are widened to f32 first,
// which is exact, and the copies of weights are kept.
//
// With Options.Checks the device finds what a GPU lets pass: writes a little
// outside a buffer, outputs left unwritten, reads of memory nobody wrote (they
// read NaN). Each is reported with kernel and tap. It also waits after every
// launch, so that a fault of the GPU names the launch that caused it. A fault
// ends the device: the driver runs nothing more in this process.
//
// The package knows kernels, memory and BLAS. It must not know the model, the
// tensors or what right values are.
package cuda
