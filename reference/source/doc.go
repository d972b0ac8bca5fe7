// Package source shows where llama.cpp computes a tap: the line of the graph
// that calls for the op, the function that does its arithmetic on the CPU and
// the kernel that does on a GPU, in the sources of the pinned ollama module.
//
// Lines are found by what they say, not by number: each place is a chain of
// fragments, one after the other in a file. A version that moved a line moves
// the place; a version that reworded it is an error that names the fragment.
//
// The package reads text files of the module cache, at run time and without
// cgo. It must not know our own code, traces or verdicts, and a machine
// without the sources (a binary copied elsewhere) gets an error, nothing more.
package source
