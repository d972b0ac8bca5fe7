package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attndiff/traces/gguf"
	"attndiff/traces/safetensors"
)

// tensor is a tensor of the hand-made checkpoint, under Hugging Face's name.
type tensor struct {
	name  string
	shape []int
	first float32 // its elements count up from here in steps of 1/64
}

// checkpoint is a model of 2 layers, E 32, H 4, G 2, D 8, F 64, V 264.
func checkpoint() []tensor {
	ts := []tensor{{"model.embed_tokens.weight", []int{264, 32}, 1}, {"model.norm.weight", []int{32}, 2}}
	for l := range 2 {
		at := fmt.Sprintf("model.layers.%d.", l)
		base := float32(10 * (l + 1))
		ts = append(ts,
			tensor{at + "input_layernorm.weight", []int{32}, base},
			tensor{at + "self_attn.q_proj.weight", []int{32, 32}, base + 1},
			tensor{at + "self_attn.q_proj.bias", []int{32}, base + 2},
			tensor{at + "self_attn.k_proj.weight", []int{16, 32}, base + 3},
			tensor{at + "self_attn.k_proj.bias", []int{16}, base + 4},
			tensor{at + "self_attn.v_proj.weight", []int{16, 32}, base + 5},
			tensor{at + "self_attn.v_proj.bias", []int{16}, base + 6},
			tensor{at + "self_attn.o_proj.weight", []int{32, 32}, base + 7},
			tensor{at + "post_attention_layernorm.weight", []int{32}, base + 8},
			tensor{at + "mlp.gate_proj.weight", []int{64, 32}, -base},
			tensor{at + "mlp.up_proj.weight", []int{64, 32}, -base - 1},
			tensor{at + "mlp.down_proj.weight", []int{32, 64}, -base - 2},
		)
	}
	return ts
}

const configJSON = `{"model_type": "qwen2", "num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4,
"num_key_value_heads": 2, "intermediate_size": 64, "vocab_size": 264, "max_position_embeddings": 512,
"rope_theta": 1000000.0, "rms_norm_eps": 1e-06, "tie_word_embeddings": true, "use_sliding_window": false,
"bos_token_id": 259, "eos_token_id": [261, 259]}`

// tokenizerJSON has the 256 bytes, two merges in the two spellings and three
// control tokens; ids 262 and 263 stay without a token.
func tokenizerJSON(t *testing.T) []byte {
	vocab := map[string]int{}
	for b := range 256 {
		vocab[gguf.SpellBytes(string([]byte{byte(b)}))] = b
	}
	vocab["he"], vocab["Ġt"], vocab["Ġthe"] = 256, 257, 258
	text, err := json.Marshal(map[string]any{
		"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": []any{"h e", []string{"Ġ", "t"}, "Ġt he"}},
		"added_tokens": []map[string]any{
			{"id": 259, "content": "<|endoftext|>", "special": true},
			{"id": 260, "content": "<|im_start|>", "special": true},
			{"id": 261, "content": "<|im_end|>", "special": true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// write lays the checkpoint out in a folder, weights as F32.
func write(t *testing.T, tensors []tensor) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string][]byte{"config.json": []byte(configJSON), "tokenizer.json": tokenizerJSON(t),
		"tokenizer_config.json": []byte(`{"chat_template": "{{ messages }}"}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w, err := safetensors.Create(filepath.Join(dir, "model.safetensors"), len(tensors))
	if err != nil {
		t.Fatal(err)
	}
	for _, ts := range tensors {
		var raw []byte
		for i := range elements(ts.shape) {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(ts.at(i)))
		}
		if err := w.Add(ts.name, "F32", ts.shape, raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// at returns element i: multiples of 1/64 up to 32 and a bit, exact in F16.
func (ts tensor) at(i int) float32 { return ts.first + float32(i%256)/64 }

func elements(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// ours spells out the names by hand, so that a slip in theirName shows.
var ours = map[string]string{
	"model.embed_tokens.weight":                      "token_embd.weight",
	"model.norm.weight":                              "output_norm.weight",
	"model.layers.0.input_layernorm.weight":          "blk.0.attn_norm.weight",
	"model.layers.0.self_attn.q_proj.weight":         "blk.0.attn_q.weight",
	"model.layers.0.self_attn.q_proj.bias":           "blk.0.attn_q.bias",
	"model.layers.0.self_attn.k_proj.weight":         "blk.0.attn_k.weight",
	"model.layers.0.self_attn.k_proj.bias":           "blk.0.attn_k.bias",
	"model.layers.0.self_attn.v_proj.weight":         "blk.0.attn_v.weight",
	"model.layers.0.self_attn.v_proj.bias":           "blk.0.attn_v.bias",
	"model.layers.0.self_attn.o_proj.weight":         "blk.0.attn_output.weight",
	"model.layers.0.post_attention_layernorm.weight": "blk.0.ffn_norm.weight",
	"model.layers.0.mlp.gate_proj.weight":            "blk.0.ffn_gate.weight",
	"model.layers.0.mlp.up_proj.weight":              "blk.0.ffn_up.weight",
	"model.layers.0.mlp.down_proj.weight":            "blk.0.ffn_down.weight",
}

func TestConvert(t *testing.T) {
	tensors := checkpoint()
	dir := write(t, tensors)
	for _, typ := range []string{"F16", "F32", "BF16", "Q8_0"} {
		t.Run(typ, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "m.gguf")
			var said bytes.Buffer
			if err := run([]string{"-type", typ, "-name", "hand-made", dir, out}, &said); err != nil {
				t.Fatal(err)
			}
			f, err := gguf.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Name != "hand-made" || f.WeightTypes() != typ || f.ContextLength != 512 || !strings.Contains(said.String(), typ) {
				t.Errorf("%s of %s, context %d; said %q", f.Name, f.WeightTypes(), f.ContextLength, said.String())
			}
			for _, ts := range tensors {
				name, ok := ours[strings.Replace(ts.name, "layers.1.", "layers.0.", 1)]
				if !ok {
					t.Fatalf("%s has no name of ours", ts.name)
				}
				if strings.Contains(ts.name, "layers.1.") {
					name = strings.Replace(name, "blk.0.", "blk.1.", 1)
				}
				compare(t, f, name, ts, typ)
			}
		})
	}
}

// compare holds a tensor of the file against the checkpoint's: equal where the
// type can say multiples of 1/64, else within its rounding.
func compare(t *testing.T, f *gguf.File, name string, want tensor, typ string) {
	t.Helper()
	info, _ := f.Tensor(name)
	got, err := f.Float32(name)
	if err != nil || !slices.Equal(info.Shape, want.shape) {
		t.Fatalf("%s: shape %v, want %v; %v", name, info.Shape, want.shape, err)
	}
	for i, v := range got {
		w := want.at(i)
		allowed := 0.0
		switch {
		case len(want.shape) == 1:
		case typ == "BF16":
			allowed = math.Abs(float64(w)) / 256 // half of the last of 8 bits
		case typ == "Q8_0":
			allowed = 32.0/127/2 + 32.0/2048 // half a step of d, and d rounded to F16
		}
		if !(math.Abs(float64(v)-float64(w)) <= allowed) {
			t.Fatalf("%s element %d is %v, want %v", name, i, v, w)
		}
	}
}

func TestVocab(t *testing.T) {
	out := filepath.Join(t.TempDir(), "m.gguf")
	if err := run([]string{write(t, checkpoint()), out}, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v, err := f.Vocab()
	if err != nil {
		t.Fatal(err)
	}
	if v.BOS != 259 || v.EOS != 261 || !v.IsEOG(261) || !v.IsEOG(259) || v.IsEOG(260) {
		t.Errorf("bos %d, eos %d", v.BOS, v.EOS)
	}
	if v.Types[260] != gguf.TokenControl || v.Types[256] != gguf.TokenNormal || v.Types[263] != gguf.TokenUnused || v.Tokens[263] != "[PAD263]" {
		t.Errorf("types %v, token 263 is %q", v.Types[256:], v.Tokens[263])
	}
	if got := v.Decode([]int32{260, 258, 'n', 261}); got != "<|im_start|> then<|im_end|>" {
		t.Errorf("decoded %q", got)
	}
}

func TestRefuses(t *testing.T) {
	for _, test := range []struct {
		name           string
		file, from, to string                  // replaces text in a file,
		tensors        func([]tensor) []tensor // or changes the weights
		want           string
	}{
		{name: "other architecture", file: "config.json", from: `"qwen2"`, to: `"llama"`, want: `model_type is "llama"`},
		{name: "sliding window", file: "config.json", from: `window": false`, to: `window": true`, want: "use_sliding_window"},
		{name: "heads", file: "config.json", from: `key_value_heads": 2`, to: `key_value_heads": 3`, want: "do not divide"},
		{name: "no size", file: "config.json", from: `"hidden_size": 32,`, want: "a size is missing"},
		{name: "no JSON", file: "config.json", from: `{`, want: "config.json"},
		{name: "sizes disagree", file: "config.json", from: `"intermediate_size": 64`, to: `"intermediate_size": 96`,
			want: `mlp.gate_proj.weight" has shape [64 32], not [F,E] = [96 32]`},
		{name: "token past the rows", file: "config.json", from: `"vocab_size": 264`, to: `"vocab_size": 260`, want: "vocab_size is 260"},
		{name: "no BPE", file: "tokenizer.json", from: `"BPE"`, to: `"WordPiece"`, want: "a Qwen2 tokenizer is BPE"},
		{name: "two tokens of one id", file: "tokenizer.json", from: `"id":260`, to: `"id":258`, want: "both have id 258"},
		{name: "missing tensor", tensors: func(ts []tensor) []tensor { return ts[1:] },
			want: `"model.embed_tokens.weight" is missing`},
		{name: "tensor too many", tensors: func(ts []tensor) []tensor {
			return append(ts, tensor{"model.layers.2.mlp.up_proj.weight", []int{1}, 0})
		}, want: "has no place in the model"},
		{name: "out of range", tensors: func(ts []tensor) []tensor { ts[0].first = 1e6; return ts }, want: "out of F16's range"},
		{name: "not finite", tensors: func(ts []tensor) []tensor { ts[1].first = float32(math.NaN()); return ts }, want: "is NaN"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tensors := checkpoint()
			if test.tensors != nil {
				tensors = test.tensors(tensors)
			}
			dir := write(t, tensors)
			if test.file != "" {
				edit(t, filepath.Join(dir, test.file), test.from, test.to)
			}
			out := filepath.Join(t.TempDir(), "m.gguf")
			err := run([]string{dir, out}, &bytes.Buffer{})
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, test.want)
			}
			if left, _ := filepath.Glob(out + "*"); len(left) != 0 {
				t.Errorf("%v left behind", left)
			}
		})
	}
}

// edit replaces text in a file.
func edit(t *testing.T, path, from, to string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil && !bytes.Contains(text, []byte(from)) {
		err = fmt.Errorf("no %s in %s", from, path)
	}
	if err == nil {
		err = os.WriteFile(path, bytes.Replace(text, []byte(from), []byte(to), 1), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"a"}, {"-what", "a", "b"}, {filepath.Join(t.TempDir(), "none"), "out.gguf"}} {
		if err := run(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
