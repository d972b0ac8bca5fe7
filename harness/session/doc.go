// Package session runs engines in child processes and brings their recordings
// together.
//
// An engine is somebody's native code: it may abort inside ggml, read out of
// bounds, be killed for memory or never return. So each runs in a worker, the
// same binary started again, which takes one [Job] on its standard input and
// reports frames on a pipe: where it is, and at last its [Result]. Whatever
// happens to a worker becomes a [Failure] that names the last tap it recorded;
// the harness itself lives on, and no worker outlives it.
//
// A [Plan] says which two sides to run on which prompt; [Plan.Run] runs the
// reference first, feeds ours the very same tokens in the very same steps, and
// returns where both recordings lie. Tensors go from the worker to its trace
// file and never through the harness.
//
// The package knows processes, passes and files. It must not know how an
// engine computes, how tensors are judged, or how a result is printed.
package session
