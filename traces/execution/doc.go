// Package execution is how an engine computed a step, as notes of its trace:
// the nodes of llama.cpp's graph ([Graph]) or the launches and products of
// ours ([Launches]), for the prefill and for the first decoded token.
//
// Tensors say what came out; these say what was run: in which order, on which
// shapes and strides, with which scalars. They travel in the trace's metadata
// as JSON, so that a trace alone can be explained:
//
//	note.graph.prefill, note.graph.decode          a [Graph]
//	note.launches.prefill, note.launches.decode    a [Launches]
//	note.kernels                                   a [Sources]: the text that was compiled
//
// All are optional; a trace of another program has none. A deep model's notes
// hold a few layers only (each says which), so that they stay below a hundred
// kilobytes.
//
// The package knows the format. It must not know how either engine works or
// what is made of the notes.
package execution
