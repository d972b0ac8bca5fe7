// Package gguf opens a model file of architecture qwen2 for our own forward
// pass and for the float64 oracle.
//
// [Open] vouches for the whole file before anyone computes with it: the
// structure fits the file's size, the architecture is qwen2, the
// hyperparameters make sense together, and every tensor has the shape they
// call for. What is refused is refused as one line that says where, what and
// what to do; see [Error]. The checks are llama.cpp's own where it has them
// (gguf.cpp, llama-model.cpp, llama-vocab.cpp), so that a file accepted here
// is one the reference loads too, and one it would abort on is named first.
//
// Matrices are row-major [out,in]: y = W x with W's rows contiguous. GGUF
// stores the sizes the other way round; this package turns them.
//
// The package knows the file format, the tensors of a qwen2 model and how the
// plain types and Q8_0 are stored. It must not know how a model is computed,
// and it has no cgo: types it cannot decode are decoded by a [Dequantizer]
// that whoever opens the file hands in.
package gguf
