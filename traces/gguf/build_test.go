package gguf_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ollama/ollama/fs/ggml"

	"attndiff/traces/gguf"
)

// parts are the keys and tensors of a model to be written with whatever is
// wrong in it. Shapes are in GGUF's order, the fastest first.
type parts struct {
	keys    ggml.KV
	tensors map[string][]uint64
	kind    map[string]uint32 // F32 where not named
}

// sound is a model of 1 layer, E 8, H 4, G 2, D 2, F 6, V 5, all zeros.
func sound() parts {
	return parts{
		keys: ggml.KV{
			"general.architecture": "qwen2", "general.name": "sound",
			"context_length": uint32(64), "block_count": uint32(1), "embedding_length": uint32(8),
			"feed_forward_length": uint32(6), "attention.head_count": uint32(4), "attention.head_count_kv": uint32(2),
			"attention.layer_norm_rms_epsilon": float32(1e-6),
			"tokenizer.ggml.model":             "gpt2",
			"tokenizer.ggml.tokens":            []string{"a", "Ġb", "<|im_end|>", "<|x|>", "ĠĠ"},
			"tokenizer.ggml.token_type":        []int32{1, 1, 3, 4, 1},
			"tokenizer.ggml.merges":            []string{"Ġ b"},
			"tokenizer.ggml.eos_token_id":      uint32(0),
		},
		tensors: map[string][]uint64{
			"token_embd.weight": {8, 5}, "output_norm.weight": {8},
			"blk.0.attn_norm.weight": {8}, "blk.0.ffn_norm.weight": {8},
			"blk.0.attn_q.weight": {8, 8}, "blk.0.attn_q.bias": {8},
			"blk.0.attn_k.weight": {8, 4}, "blk.0.attn_k.bias": {4},
			"blk.0.attn_v.weight": {8, 4}, "blk.0.attn_v.bias": {4},
			"blk.0.attn_output.weight": {8, 8},
			"blk.0.ffn_gate.weight":    {8, 6}, "blk.0.ffn_up.weight": {8, 6}, "blk.0.ffn_down.weight": {6, 8},
		},
		kind: map[string]uint32{},
	}
}

// write writes the model to a file of the test.
func (p parts) write(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []*ggml.Tensor
	for _, name := range slices.Sorted(maps.Keys(p.tensors)) {
		ts := &ggml.Tensor{Name: name, Shape: p.tensors[name], Kind: p.kind[name]}
		ts.WriterTo = bytes.NewReader(make([]byte, ts.Size()))
		tensors = append(tensors, ts)
	}
	if err := ggml.WriteGGUF(f, p.keys, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

// file writes bytes to a file of the test.
func file(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func open(t testing.TB, path string, opts ...gguf.Option) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// overwrite returns data with bytes replaced at an offset from the end of the
// first occurrence of text.
func overwrite(data []byte, text string, after int, with ...byte) []byte {
	at := bytes.Index(data, []byte(text))
	if at < 0 {
		panic(fmt.Sprintf("%q is not in the file", text))
	}
	data = bytes.Clone(data)
	copy(data[at+len(text)+after:], with)
	return data
}
