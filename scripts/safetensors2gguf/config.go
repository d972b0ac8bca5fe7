package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"attndiff/traces/gguf"
	"attndiff/traces/trace"
)

// config is what a Qwen2 config.json says, as far as a GGUF file repeats it.
type config struct {
	ModelType string  `json:"model_type"`
	Layers    int     `json:"num_hidden_layers"`
	Embd      int     `json:"hidden_size"`
	Heads     int     `json:"num_attention_heads"`
	HeadsKV   int     `json:"num_key_value_heads"`
	FF        int     `json:"intermediate_size"`
	Vocab     int     `json:"vocab_size"`
	Context   int     `json:"max_position_embeddings"`
	RopeTheta float64 `json:"rope_theta"`
	RMSEps    float64 `json:"rms_norm_eps"`
	Tied      bool    `json:"tie_word_embeddings"`
	Window    bool    `json:"use_sliding_window"`
	Scaling   any     `json:"rope_scaling"`
	BOS       *int32  `json:"bos_token_id"`
	EOS       eos     `json:"eos_token_id"`
	Pad       *int32  `json:"pad_token_id"`
}

// eos is one id or a list of them, of which the first is the model's own.
type eos []int32

// UnmarshalJSON takes 7 and [7, 8].
func (e *eos) UnmarshalJSON(text []byte) error {
	var one int32
	if json.Unmarshal(text, &one) == nil {
		*e = eos{one}
		return nil
	}
	var many []int32
	err := json.Unmarshal(text, &many)
	*e = many
	return err
}

// readConfig reads config.json and refuses what GGUF could not say for our
// reader: other architectures, sliding windows, scaled RoPE.
func readConfig(path string) (config, error) {
	var c config
	if err := readJSON(path, &c); err != nil {
		return c, err
	}
	bad := func(format string, args ...any) (config, error) {
		return c, fmt.Errorf("%s: %s; only plain Qwen2 checkpoints are converted", path, fmt.Sprintf(format, args...))
	}
	switch {
	case c.ModelType != "qwen2":
		return bad("model_type is %q", c.ModelType)
	case c.Window:
		return bad("use_sliding_window is set")
	case c.Scaling != nil:
		return bad("rope_scaling is set")
	case !(c.RopeTheta > 0) || !(c.RMSEps > 0):
		return bad("rope_theta is %v and rms_norm_eps %v", c.RopeTheta, c.RMSEps)
	}
	for _, n := range []int{c.Layers, c.Embd, c.Heads, c.HeadsKV, c.FF, c.Vocab, c.Context} {
		if n <= 0 {
			return bad("a size is missing or not positive")
		}
	}
	if c.Embd%c.Heads != 0 || c.Heads%c.HeadsKV != 0 {
		return bad("hidden_size %d, %d heads and %d KV heads do not divide", c.Embd, c.Heads, c.HeadsKV)
	}
	return c, nil
}

// hparams returns the config as the hyperparameters of a model file.
func (c config) hparams() trace.Hparams {
	return trace.Hparams{NLayer: c.Layers, NEmbd: c.Embd, NHead: c.Heads, NHeadKV: c.HeadsKV,
		HeadDim: c.Embd / c.Heads, NFF: c.FF, NVocab: c.Vocab,
		RopeFreqBase: c.RopeTheta, RopeType: "neox", RMSEps: c.RMSEps}
}

// token returns an optional id.
func token(id *int32) int32 {
	if id == nil {
		return gguf.NoToken
	}
	return *id
}

// readJSON decodes a file of the checkpoint.
func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return fmt.Errorf("%s: %w; give the folder of a Hugging Face checkpoint", path, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w; save the checkpoint again", path, err)
	}
	return nil
}
