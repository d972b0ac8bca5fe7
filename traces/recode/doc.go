// Package recode writes a model again with matrices of another element type,
// so that runs on F32, F16, BF16 and Q8_0 weights need one shipped file.
//
// Norms and biases stay F32, as llama.cpp keeps them. The merges of the
// tokenizer are not carried over: prompts come as ids, from the model it was
// made of. The package knows files and types. It must not know what they are
// run for.
package recode
