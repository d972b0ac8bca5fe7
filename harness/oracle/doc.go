// Package oracle recomputes every tap in float64 from the inputs that one side
// recorded and the model's weights: the third voice, which separates the op
// that introduces an error from the ops that inherit it.
//
// What llama.cpp means by an op is a parameter ([Semantics]); llama.cpp's
// meaning is the default, and the doc comment of each op names the source it
// mirrors (paths are those of the pinned github.com/ollama/ollama module, below
// llama/llama.cpp/src and ml/backend/ggml/ggml/src).
//
// Beside each value the oracle derives its noise: the variance that honest
// finite-precision arithmetic leaves in the element (see noise.go). An input
// that was not recorded is itself recomputed, so a gap in a trace is judged as
// the composition of the ops across it; values and noise compose alike.
//
// The package knows formulas, weights and traces. It imports nothing of ours
// and nothing of the reference, and must not know what is wrong with either.
package oracle
