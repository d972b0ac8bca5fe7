package main

import (
	"fmt"
	"slices"
	"strings"

	"attndiff/traces/gguf"
	"attndiff/traces/safetensors"
)

// weights reads a checkpoint's tensors under the names of a GGUF file.
type weights struct {
	file   *safetensors.File
	byPart map[string]safetensors.Tensor
}

// onceNames and layerNames are Hugging Face's names of the tensors.
var (
	onceNames = map[string]string{
		gguf.TokenEmbd:  "model.embed_tokens.weight",
		gguf.OutputNorm: "model.norm.weight",
		gguf.OutputProj: "lm_head.weight",
	}
	layerNames = strings.NewReplacer(
		"attn_norm", "input_layernorm", "ffn_norm", "post_attention_layernorm",
		"attn_q", "self_attn.q_proj", "attn_k", "self_attn.k_proj", "attn_v", "self_attn.v_proj",
		"attn_output", "self_attn.o_proj",
		"ffn_gate", "mlp.gate_proj", "ffn_up", "mlp.up_proj", "ffn_down", "mlp.down_proj",
		"blk.", "model.layers.",
	)
)

// theirName returns Hugging Face's name of a part.
func theirName(part string) string {
	if name, ok := onceNames[part]; ok {
		return name
	}
	return layerNames.Replace(part)
}

// openWeights opens the weights and matches every part of the model with a
// tensor of its shape; tensors left over are refused.
func openWeights(path string, c config) (*weights, error) {
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	w := &weights{file: file, byPart: map[string]safetensors.Tensor{}}
	if err := w.match(gguf.Parts(c.hparams(), c.Tied), c.Tied); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w; config.json and weights must be of one Qwen2 model", path, err)
	}
	return w, nil
}

func (w *weights) match(parts []gguf.Part, tied bool) error {
	theirs := map[string]safetensors.Tensor{}
	for _, t := range w.file.Tensors() {
		theirs[t.Name] = t
	}
	if tied { // some save the embedding a second time
		delete(theirs, onceNames[gguf.OutputProj])
	}
	for _, p := range parts {
		name := theirName(p.Name)
		t, ok := theirs[name]
		switch {
		case !ok:
			return fmt.Errorf("tensor %q is missing", name)
		case !slices.Equal(t.Shape, p.Shape):
			return fmt.Errorf("tensor %q has shape %v, not %s = %v", name, t.Shape, p.Sizes, p.Shape)
		case t.DType != "F32" && t.DType != "F16" && t.DType != "BF16":
			return fmt.Errorf("tensor %q has dtype %s, not F32, F16 or BF16", name, t.DType)
		}
		w.byPart[p.Name] = t
		delete(theirs, name)
	}
	for _, t := range w.file.Tensors() {
		if _, left := theirs[t.Name]; left {
			return fmt.Errorf("tensor %q has no place in the model", t.Name)
		}
	}
	return nil
}

// fill reads a part's elements from first on.
func (w *weights) fill(p gguf.Part, first int, dst []float32) error {
	t := w.byPart[p.Name]
	typ := string(t.DType) // F32, F16 and BF16 are spelled and stored alike in both formats
	size, err := gguf.RowBytes(typ, 1)
	if err != nil {
		return err
	}
	raw := make([]byte, size*len(dst))
	if err := w.file.ReadAt(t, raw, int64(first)*int64(size)); err != nil {
		return err
	}
	return gguf.Decode(typ, raw, dst)
}
