package writer

import (
	"fmt"

	"github.com/ollama/ollama/fs/ggml"

	"attndiff/traces/gguf"
	"attndiff/traces/trace"
)

// Model is a qwen2 model to be written.
type Model struct {
	Name          string
	Hparams       trace.Hparams // RopeType and KVType do not matter
	ContextLength int
	Type          string // of the matrices: F32, F16, BF16 or Q8_0; norms and biases are F32
	Tied          bool   // no output.weight: logits come from the embedding
	Vocab         Vocab

	// Fill sets dst to a part's elements from first on, in row-major order.
	// It is called from several goroutines, for different parts and for the
	// stretches of one part in order.
	Fill func(p gguf.Part, first int, dst []float32) error
}

// Vocab is a byte-level BPE vocabulary.
type Vocab struct {
	Tokens []string // spelled as [gguf.SpellBytes] does; as long as Hparams.NVocab
	Types  []int32  // gguf.TokenNormal, ...
	Merges []string // "a b", most frequent first
	BOS    int32    // gguf.NoToken leaves the key out
	EOS    int32
	Pad    int32

	ChatTemplate string // Jinja; empty leaves the key out
}

// fileTypes are llama.h's enum llama_ftype, general.file_type.
var fileTypes = map[string]uint32{"F32": 0, "F16": 1, "Q8_0": 7, "BF16": 32}

// Types lists the types matrices can be written in.
func Types() []string { return []string{"F32", "F16", "BF16", "Q8_0"} }

// check refuses a model that would make a file nobody can open.
func (m Model) check() error {
	if _, ok := fileTypes[m.Type]; !ok {
		return fmt.Errorf("type %q cannot be written; the types are F32, F16, BF16 and Q8_0", m.Type)
	}
	if n := len(m.Vocab.Tokens); n != m.Hparams.NVocab || n != len(m.Vocab.Types) {
		return fmt.Errorf("%d tokens with %d types for an embedding of %d rows", n, len(m.Vocab.Types), m.Hparams.NVocab)
	}
	for _, p := range gguf.Parts(m.Hparams, m.Tied) {
		if _, err := gguf.RowBytes(m.typeOf(p), p.Shape[len(p.Shape)-1]); err != nil {
			return fmt.Errorf("tensor %s: %w", p.Name, err)
		}
	}
	return nil
}

// typeOf returns the type a part is stored in.
func (m Model) typeOf(p gguf.Part) string {
	if p.Matrix() {
		return m.Type
	}
	return "F32"
}

// keys returns the metadata; fs/ggml sorts them and puts "qwen2." before the
// ones that have no prefix of their own.
func (m Model) keys() ggml.KV {
	h, v := m.Hparams, m.Vocab
	kv := ggml.KV{
		"general.architecture":             "qwen2",
		"general.name":                     m.Name,
		"general.file_type":                fileTypes[m.Type],
		"general.quantization_version":     uint32(2), // ggml.h, GGML_QNT_VERSION
		"context_length":                   uint32(m.ContextLength),
		"block_count":                      uint32(h.NLayer),
		"embedding_length":                 uint32(h.NEmbd),
		"feed_forward_length":              uint32(h.NFF),
		"attention.head_count":             uint32(h.NHead),
		"attention.head_count_kv":          uint32(h.NHeadKV),
		"attention.layer_norm_rms_epsilon": float32(h.RMSEps),
		"rope.freq_base":                   float32(h.RopeFreqBase),
		"tokenizer.ggml.model":             "gpt2",
		"tokenizer.ggml.pre":               "qwen2",
		"tokenizer.ggml.tokens":            v.Tokens,
		"tokenizer.ggml.token_type":        v.Types,
		"tokenizer.ggml.merges":            v.Merges,
		"tokenizer.ggml.add_bos_token":     false,
	}
	if v.ChatTemplate != "" {
		kv["tokenizer.chat_template"] = v.ChatTemplate
	}
	for key, id := range map[string]int32{"bos": v.BOS, "eos": v.EOS, "padding": v.Pad} {
		if id != gguf.NoToken {
			kv["tokenizer.ggml."+key+"_token_id"] = uint32(id)
		}
	}
	return kv
}
