// Package synth writes random qwen2 GGUF files: a real shape at no download,
// or a tiny one for a test.
//
// A file depends on its [Spec] alone: every value is a function of the seed,
// the tensor's name and the element's index, made by integer arithmetic and a
// single float32 multiplication or two, so all machines write the same bytes
// whatever their number of cores.
//
// The values are random and yet shaped like Qwen2.5's where that decides how
// errors show: activations keep their size through the layers, biases are
// not zero, a few norm weights are large, and layer 0 has K biases of 40 and
// more on its slowest RoPE dimensions, which put raw scores over 100.
//
// The package knows what a random model needs. How it is stored is
// gguf/writer's business.
package synth
