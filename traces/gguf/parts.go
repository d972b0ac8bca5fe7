package gguf

import (
	"fmt"

	"attndiff/traces/trace"
)

// Names of the tensors that exist once.
const (
	TokenEmbd  = "token_embd.weight"
	OutputNorm = "output_norm.weight"
	OutputProj = "output.weight" // left out when tied to the embedding
)

// Part is one tensor that a qwen2 model consists of.
type Part struct {
	Name  string
	Shape []int  // row-major: [out,in] or [n]
	Sizes string // the same in the letters of package tap: "[G*D,E]"
}

// Matrix reports whether the part is a matrix; the others are norm weights
// and biases.
func (p Part) Matrix() bool { return len(p.Shape) == 2 }

// LayerName spells the name of a layer's tensor: LayerName(3, "attn_q.bias")
// is "blk.3.attn_q.bias".
func LayerName(layer int, name string) string { return fmt.Sprintf("blk.%d.%s", layer, name) }

// Parts lists the tensors of a qwen2 model with the shapes its
// hyperparameters call for, as llama.cpp creates them (llama-model.cpp,
// load_tensors, LLM_ARCH_QWEN2). output.weight is listed unless tied. Biases
// of Q, K and V, optional there, are required here: every Qwen2 has them and
// the taps after them would not exist.
func Parts(h trace.Hparams, tied bool) []Part {
	e, q, kv, f := h.NEmbd, h.NHead*h.HeadDim, h.NHeadKV*h.HeadDim, h.NFF
	parts := []Part{
		{TokenEmbd, []int{h.NVocab, e}, "[V,E]"},
		{OutputNorm, []int{e}, "[E]"},
	}
	if !tied {
		parts = append(parts, Part{OutputProj, []int{h.NVocab, e}, "[V,E]"})
	}
	for l := range h.NLayer {
		for _, p := range []Part{
			{"attn_norm.weight", []int{e}, "[E]"},
			{"attn_q.weight", []int{q, e}, "[H*D,E]"},
			{"attn_q.bias", []int{q}, "[H*D]"},
			{"attn_k.weight", []int{kv, e}, "[G*D,E]"},
			{"attn_k.bias", []int{kv}, "[G*D]"},
			{"attn_v.weight", []int{kv, e}, "[G*D,E]"},
			{"attn_v.bias", []int{kv}, "[G*D]"},
			{"attn_output.weight", []int{e, q}, "[E,H*D]"},
			{"ffn_norm.weight", []int{e}, "[E]"},
			{"ffn_gate.weight", []int{f, e}, "[F,E]"},
			{"ffn_up.weight", []int{f, e}, "[F,E]"},
			{"ffn_down.weight", []int{e, f}, "[E,F]"},
		} {
			p.Name = LayerName(l, p.Name)
			parts = append(parts, p)
		}
	}
	return parts
}
