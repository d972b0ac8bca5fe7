// Command mutate proves that the catalogue of planted faults is not the test:
// it changes ours/kernels/*.cu in every small way it knows, one change at a
// time, and asks the harness about each.
//
//	go run ./scripts/mutate            every mutant
//	go run ./scripts/mutate -n 50      a sample
//	go run ./scripts/mutate -only rope.cu -list
//
// A mutant is compiled for the emulator and run, in a process of its own, on
// small models that reach every kernel, in several orders of threads. It is
// killed when the harness says divergence, when the emulator reports a stray
// or missing write, when two orders of threads give different bits, when it
// crashes or when it hangs; located when what was said names a kernel of the
// mutated file or a tap that the file writes. One that survives changes no
// result or shows a gap in the harness; equivalent.txt lists the former, each
// with its reason.
package main
