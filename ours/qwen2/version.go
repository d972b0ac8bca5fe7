package qwen2

import "attndiff/ours/kernels"

// Version says which forward pass made a trace: this package's name and the
// digest of the kernel source it ran, faults and mutations included.
func Version(src kernels.Source) string { return "qwen2 kernels " + src.Digest()[:16] }
