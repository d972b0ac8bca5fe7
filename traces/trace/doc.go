// Package trace is what both engines share on disk: one safetensors file per
// recording, tensors named by [tap.Key], and metadata that say which model,
// which tokens and which engine it came from.
//
// An engine writes through a [Sink]; the harness reads through a [Reader].
// The package knows the file's contract. It must not know how tensors are
// computed or compared.
package trace
