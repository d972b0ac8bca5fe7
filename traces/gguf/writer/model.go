package writer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ollama/ollama/fs/ggml"

	"attndiff/traces/gguf"
	"attndiff/traces/trace"
)

// Model is a qwen2 model to be written.
type Model struct {
	Name          string
	Hparams       trace.Hparams // RopeType and KVType do not matter
	ContextLength int
	Type          string // of the matrices, one of [Types] or [QuantizedTypes]; norms and biases are F32
	Tied          bool   // no output.weight: logits come from the embedding
	Vocab         Vocab

	// Fill sets dst to a part's elements from first on, in row-major order.
	// It is called from several goroutines, for different parts and for the
	// stretches of one part in order.
	Fill func(p gguf.Part, first int, dst []float32) error
	// Quantize encodes [QuantizedTypes]; nil where none is asked for.
	Quantize Quantizer
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

// fileTypes are llama.h's enum llama_ftype, general.file_type: of the K-quants
// the ones that use a type throughout ("MOSTLY_Q4_K_S").
var fileTypes = map[string]uint32{"F32": 0, "F16": 1, "Q8_0": 7, "BF16": 32,
	"Q4_0": 2, "Q4_1": 3, "Q5_0": 8, "Q5_1": 9, "Q4_K": 14, "Q5_K": 16, "Q6_K": 18}

// fallbacks are the types of matrices whose rows are not whole blocks of 256, as
// llama-quantize has them (llama-quant.cpp, llama_tensor_get_type): of n_embd
// 896, Qwen2.5-0.5B's, nothing but ffn_down is a K-quant.
var fallbacks = map[string]string{"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}

// Types lists the types matrices can be written in.
func Types() []string { return []string{"F32", "F16", "BF16", "Q8_0"} }

// QuantizedTypes lists the types matrices can be written in with a [Quantizer].
func QuantizedTypes() []string {
	return []string{"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"}
}

// check refuses a model that would make a file nobody can open.
func (m Model) check() error {
	switch {
	case slices.Contains(Types(), m.Type):
	case !slices.Contains(QuantizedTypes(), m.Type):
		return fmt.Errorf("type %q cannot be written; the types are %s", m.Type, strings.Join(slices.Concat(Types(), QuantizedTypes()), ", "))
	case m.Quantize == nil:
		return fmt.Errorf("type %q cannot be written without ggml's quantiser; %s can", m.Type, strings.Join(Types(), ", "))
	}
	if n := len(m.Vocab.Tokens); n != m.Hparams.NVocab || n != len(m.Vocab.Types) {
		return fmt.Errorf("%d tokens with %d types for an embedding of %d rows", n, len(m.Vocab.Types), m.Hparams.NVocab)
	}
	asked := false
	for _, p := range gguf.Parts(m.Hparams, m.Tied) {
		typ := m.typeOf(p)
		asked = asked || typ == m.Type
		if _, err := gguf.RowBytes(typ, p.Shape[len(p.Shape)-1]); err != nil {
			return fmt.Errorf("tensor %s: %w", p.Name, err)
		}
	}
	if !asked {
		_, err := gguf.RowBytes(m.Type, m.Hparams.NEmbd)
		return fmt.Errorf("no matrix can be %s: %w", m.Type, err)
	}
	return nil
}

// typeOf returns the type a part is stored in.
func (m Model) typeOf(p gguf.Part) string {
	if !p.Matrix() {
		return "F32"
	}
	if _, err := gguf.RowBytes(m.Type, p.Shape[len(p.Shape)-1]); err != nil && fallbacks[m.Type] != "" {
		return fallbacks[m.Type]
	}
	return m.Type
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
