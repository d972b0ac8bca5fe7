// Package llamacpp is the reference engine: llama.cpp, as the ollama module
// carries it, behind a small C bridge, with every tap of a step recorded under
// the project's vocabulary.
//
// An [Engine] runs one sequence through one model: [Engine.Step] appends tokens
// and returns the logits of the last, and hands each intermediate tensor to a
// [trace.Sink] when it is given one. Without a sink nothing is marked or copied:
// that is llama.cpp as it runs in production, and on the CPU the logits of both
// ways are the same bit for bit.
//
// The package knows llama.cpp's graph, names and memory layouts. It must not
// know our own engine, what a trace is compared with, or where it is written.
//
// The include path of llama.cpp's headers comes from cgo_flags.go, which
// scripts/cgoflags writes and git ignores.
package llamacpp
