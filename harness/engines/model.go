package engines

import (
	"attndiff/harness/session"
	"attndiff/reference/llamacpp"
	"attndiff/traces/gguf"
	"attndiff/traces/recode"
	"attndiff/traces/synth"
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
	return recode.Write(to, f, typ, llamacpp.Quantize)
}

// Synthesize writes a synthetic model of any type, ggml's own routines
// quantising.
func Synthesize(path string, s synth.Spec) error {
	return synth.WriteQuantized(path, s, llamacpp.Quantize)
}
