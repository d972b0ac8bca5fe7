package engines

import (
	"attndiff/harness/session"
	"attndiff/reference/llamacpp"
	"attndiff/traces/gguf"
	"attndiff/traces/recode"
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

// Recode writes the model in a file again, to another file and with matrices of
// another type.
func Recode(from, to, typ string) error {
	f, err := OpenModel(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return recode.Write(to, f, typ)
}
