package engines

import (
	"attndiff/harness/session"
	"attndiff/reference/llamacpp"
	"attndiff/traces/gguf"
)

// OpenModel opens a model file for whoever reads weights in Go: formats that
// plain Go does not decode are decoded by ggml's routines. The error is a
// [session.InputError].
func OpenModel(path string) (*gguf.File, error) {
	f, err := gguf.Open(path, gguf.WithDequantizer(llamacpp.Dequantize))
	if err != nil {
		return nil, &session.InputError{Err: err}
	}
	return f, nil
}
