package recode_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"attndiff/traces/gguf"
	"attndiff/traces/gguf/writer"
	"attndiff/traces/recode"
	"attndiff/traces/synth/synthtest"
)

// A model written again in a type equals the one synthesised in that type, but
// for its merges; matrices of F32 hold every value of another type.
func TestWrite(t *testing.T) {
	wide := open(t, synthtest.Tiny(t, "F32"))
	for _, typ := range writer.Types() {
		t.Run(typ, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "again.gguf")
			if err := recode.Write(path, wide, typ, nil); err != nil {
				t.Fatal(err)
			}
			got, want := open(t, path), open(t, synthtest.Tiny(t, typ))
			if got.Hparams != want.Hparams || got.ContextLength != want.ContextLength || got.WeightTypes() != want.WeightTypes() {
				t.Errorf("%+v, context %d, %s; want %+v, %d, %s", got.Hparams, got.ContextLength, got.WeightTypes(),
					want.Hparams, want.ContextLength, want.WeightTypes())
			}
			for _, p := range gguf.Parts(want.Hparams, want.Output() == gguf.TokenEmbd) {
				a, err := got.Float32(p.Name)
				if err != nil {
					t.Fatal(err)
				}
				b, err := want.Float32(p.Name)
				if err != nil {
					t.Fatal(err)
				}
				for i := range b {
					if a[i] != b[i] {
						t.Fatalf("%s element %d is %v, want %v", p.Name, i, a[i], b[i])
					}
				}
			}
			again := filepath.Join(t.TempDir(), "once-more.gguf")
			if err := recode.Write(again, wide, typ, nil); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(read(t, path), read(t, again)) {
				t.Error("two files of the same model differ")
			}
		})
	}
}

func open(t *testing.T, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
