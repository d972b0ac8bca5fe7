// Package writer writes qwen2 GGUF files through ollama's fs/ggml.
//
// Whoever makes a model (a synthetic one, a converted one) describes it as a
// [Model]: hyperparameters, vocabulary, and a function that yields any stretch
// of any tensor as float32. The writer asks for values a chunk at a time,
// encodes them and puts them in place, so its memory does not grow with the
// model. The same model gives the same bytes on every machine.
//
// The package knows the keys and types llama.cpp wants to find. It must not
// know where values come from.
package writer
