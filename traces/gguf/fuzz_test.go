package gguf_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attndiff/traces/gguf"
)

// FuzzOpen opens whatever bytes: a refusal is one line, and what opens can be
// read to the end.
func FuzzOpen(f *testing.F) {
	good := read(f, sound().write(f))
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(overwrite(good, "GGUF", 0, 2))
	f.Add(overwrite(good, "output_norm.weight", 12, 1))
	f.Add(overwrite(good, "tokenizer.ggml.tokens", 4, 255))
	f.Add([]byte("GGUF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := gguf.Open(path)
		if err != nil {
			var e *gguf.Error
			if !errors.As(err, &e) || e.Fix == "" || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %q", err)
			}
			return
		}
		defer m.Close()
		for _, p := range gguf.Parts(m.Hparams, m.Output() == gguf.TokenEmbd) {
			if _, err := m.Float32(p.Name); err != nil && !strings.Contains(err.Error(), "cannot be decoded here") {
				t.Fatal(err)
			}
		}
		v, err := m.Vocab()
		if err != nil {
			t.Fatal(err)
		}
		for id := range v.Tokens {
			v.Decode([]int32{int32(id)})
		}
		m.WeightTypes()
		if _, err := m.SHA256(); err != nil {
			t.Fatal(err)
		}
	})
}
