// Command mutate proves that the catalogue of planted faults is not the test:
// it changes ours/kernels/*.cu in every small way it knows, one change at a
// time, and asks the harness about each.
//
//	go run ./scripts/mutate -out traces       every mutant, as make mutants does
//	go run ./scripts/mutate -n 50             a sample
//	go run ./scripts/mutate -only rope.cu -list
//	go run ./scripts/mutate -shard 2/8 -out b
//	go run ./scripts/mutate -again a/mutants.json -out c
//	go run ./scripts/mutate -recount a/mutants.json,b/mutants.json -out traces
//
// -again has a second look at the mutants that survived unexplained or were not
// located. -recount counts again what earlier runs found, each of a share of the
// mutants or after a survivor was explained in equivalent.txt; a later file's
// finding replaces an earlier one's. A run that is stopped writes what it found.
//
// A mutant is compiled for the emulator, one file of it, and run in a process
// of its own on small models that reach every kernel, with the tokens that
// llama.cpp was fed. The verdict is that of `attndiff diff --repeat`: package
// verdict's, with llama.cpp's recording as the reference, and the run is made
// again with the threads in other orders and buffers in other places. Each op's
// error is held against the unchanged kernels', as `attndiff gate` does it with
// a baseline.
//
// A mutant is killed when the verdict is divergence, when an op errs so much
// more than before that the gate fails, when the emulator reports a kernel, when
// two orders of threads give different bits, when the run crashes or when it
// does not end; located when what was said first names a kernel that the mutant
// changes or a tap that such a kernel computes. One that survives changes no
// result or shows a gap in the harness; equivalent.txt lists both, each with its
// reason. Of a mutant whose library is the same bytes as the original's the
// compiler itself says so.
//
// It exits with status 1 when fewer are killed or located than the bar asks
// for, or when equivalent.txt is out of date.
package main
