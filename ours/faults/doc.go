// Package faults is the catalogue of planted faults: mistakes people make in
// an attention path, each made where an engineer would make it. A mistake in a
// kernel is a [Patch] of the .cu source before it is compiled; a mistake in
// the host code is a [Rewrite] of the list of ops that qwen2 is about to run.
// Neither the kernels nor the forward pass know that faults exist.
//
// The package knows the text of the kernels and the ops of a step. It must not
// know how a fault is found, and whoever looks for faults must not read it:
// a diagnosis that knows the name of the mistake has diagnosed nothing.
package faults
