package qwen2

import (
	"strings"

	"attndiff/ours/kernels"
)

// onFused marks the version of a forward pass that takes the fused path.
const onFused = ", fused attention"

// Version says which forward pass made a trace: this package's name and the
// digest of the kernel source it ran, faults and mutations included, and the
// attention path where it is not the one that records everything.
func Version(src kernels.Source, path Path) string {
	version := "qwen2 kernels " + src.Digest()[:16]
	if path == Fused {
		version += onFused
	}
	return version
}

// PathOf returns the attention path that a version names.
func PathOf(version string) Path {
	if strings.HasSuffix(version, onFused) {
		return Fused
	}
	return Unfused
}
