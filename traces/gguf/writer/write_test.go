package writer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attndiff/traces/gguf"
	"attndiff/traces/trace"
)

// model is a model of zeros: 1 layer, E 32, H 4, G 2, D 8, F 32, V 3.
func model() Model {
	return Model{
		Hparams: trace.Hparams{NLayer: 1, NEmbd: 32, NHead: 4, NHeadKV: 2, HeadDim: 8, NFF: 32, NVocab: 3,
			RopeFreqBase: 1e4, RMSEps: 1e-5},
		ContextLength: 16, Type: "F16",
		Vocab: Vocab{Tokens: []string{"a", "b", "ab"}, Types: []int32{1, 1, 1}, Merges: []string{"a b"},
			BOS: gguf.NoToken, EOS: 2, Pad: gguf.NoToken},
		Fill: func(_ gguf.Part, _ int, dst []float32) error { clear(dst); return nil },
	}
}

// TestWriteFile writes a model over an older file and reads it again.
func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, model()); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v, err := f.Vocab()
	if err != nil || v.BOS != gguf.NoToken || v.EOS != 2 || f.Output() != gguf.OutputProj {
		t.Errorf("bos %d, eos %d, output %s, %v", v.BOS, v.EOS, f.Output(), err)
	}
}

// TestFailures expects an error and the folder as it was.
func TestFailures(t *testing.T) {
	broken := errors.New("no more weights")
	nothing := func(string, []float32, []byte) error { return nil }
	for _, test := range []struct {
		name   string
		change func(*Model)
		want   string
	}{
		{"type", func(m *Model) { m.Type = "Q9" }, `type "Q9" cannot be written`},
		{"quantiser", func(m *Model) { m.Type = "Q4_0" }, `type "Q4_0" cannot be written without ggml's quantiser`},
		{"rows", func(m *Model) { m.Type, m.Quantize = "Q4_K", nothing }, "no matrix can be Q4_K: Q4_K needs rows of a multiple of 256"},
		{"vocabulary", func(m *Model) { m.Vocab.Types = nil }, "3 tokens with 0 types for an embedding of 3 rows"},
		{"blocks", func(m *Model) { m.Type, m.Hparams.NFF = "Q8_0", 40 }, "tensor blk.0.ffn_down.weight: Q8_0 needs rows of a multiple of 32"},
		{"source", func(m *Model) {
			m.Fill = func(p gguf.Part, _ int, dst []float32) error {
				if p.Name == "blk.0.ffn_norm.weight" {
					return broken
				}
				clear(dst)
				return nil
			}
		}, "tensor blk.0.ffn_norm.weight from element 0 on: no more weights"},
	} {
		m := model()
		test.change(&m)
		dir := t.TempDir()
		path := filepath.Join(dir, "m.gguf")
		if err := WriteFile(path, m); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%s: %v left behind", test.name, left)
		}
	}
	err := WriteFile(filepath.Join(t.TempDir(), "none", "m.gguf"), model())
	if err == nil || !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "part-") {
		t.Errorf("error %v", err)
	}
}
