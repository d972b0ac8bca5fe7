package gguf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"attndiff/traces/gguf"
	"attndiff/traces/synth/synthtest"
)

// checkRefused expects one line that names the file and holds want.
func checkRefused(t *testing.T, path, want string) {
	t.Helper()
	f, err := gguf.Open(path)
	if err == nil {
		f.Close()
		t.Fatalf("opened, want an error with %q", want)
	}
	var e *gguf.Error
	switch text := err.Error(); {
	case !errors.As(err, &e) || e.Path != path || e.What == "" || e.Fix == "":
		t.Errorf("%#v is not an Error with a path, a reason and a remedy", err)
	case !strings.Contains(text, want) || strings.Contains(text, "\n"):
		t.Errorf("error %q, want one line with %q", text, want)
	}
}

// TestRefusesContent changes a sound model's keys and tensors.
func TestRefusesContent(t *testing.T) {
	open(t, sound().write(t))
	for _, test := range []struct {
		name   string
		change func(p parts)
		want   string
	}{
		{"architecture", func(p parts) { p.keys["general.architecture"] = "llama" }, `"general.architecture": is "llama", only "qwen2"`},
		{"missing key", func(p parts) { delete(p.keys, "embedding_length") }, `key "qwen2.embedding_length": is missing`},
		{"wrong type", func(p parts) { p.keys["block_count"] = int32(1) }, `"qwen2.block_count": has type int32 where uint32`},
		{"per layer", func(p parts) { p.keys["attention.head_count"] = []uint32{4} }, "is an array"},
		{"zero", func(p parts) { p.keys["attention.head_count_kv"] = uint32(0) }, "is 0"},
		{"huge", func(p parts) { p.keys["block_count"] = uint32(1 << 30) }, "llama.cpp takes at most 512"},
		{"huge width", func(p parts) { p.keys["feed_forward_length"] = uint32(1<<31 - 1) }, "call for [F,E] = [2147483647 8]"},
		{"eps", func(p parts) { p.keys["attention.layer_norm_rms_epsilon"] = float32(-1) }, "is -1"},
		{"groups", func(p parts) { p.keys["attention.head_count_kv"] = uint32(3) }, "4 query heads are not a multiple of 3 KV heads"},
		{"heads", func(p parts) {
			p.keys["attention.head_count"], p.keys["attention.head_count_kv"] = uint32(3), uint32(1)
		}, "8 is not a multiple of 3 heads"},
		{"odd head", func(p parts) { p.keys["attention.head_count"] = uint32(8) }, "head_dim 1 is odd"},
		{"key length", func(p parts) { p.keys["attention.key_length"] = uint32(4) }, `"qwen2.attention.key_length": is 4`},
		{"partial rope", func(p parts) { p.keys["rope.dimension_count"] = uint32(1) }, "only models where they are equal"},
		{"layers", func(p parts) { p.keys["block_count"] = uint32(2) }, `"blk.1.attn_norm.weight": is missing; a qwen2 model of 2 layers`},
		{"FFN width", func(p parts) { p.keys["feed_forward_length"] = uint32(7) }, `"blk.0.ffn_gate.weight": shape [6 8], but the hyperparameters call for [F,E] = [7 8]`},
		{"KV heads", func(p parts) { p.keys["attention.head_count_kv"] = uint32(4) }, `"blk.0.attn_k.weight": shape [4 8], but the hyperparameters call for [G*D,E] = [8 8]`},
		{"vocabulary", func(p parts) { p.tensors["token_embd.weight"] = []uint64{8, 6} }, "has 6 rows, but tokenizer.ggml.tokens has 5 entries"},
		{"vocab_size", func(p parts) { p.keys["vocab_size"] = uint32(4) }, `"qwen2.vocab_size": is 4`},
		{"output", func(p parts) { p.tensors["output.weight"] = []uint64{8, 4} }, `"output.weight": shape [4 8]`},
		{"bias", func(p parts) { p.tensors["blk.0.attn_k.bias"] = []uint64{8} }, `"blk.0.attn_k.bias": shape [8], but the hyperparameters call for [G*D] = [4]`},
		{"norm", func(p parts) { p.tensors["output_norm.weight"] = []uint64{7} }, "call for [E] = [8]"},
		{"transposed", func(p parts) { p.tensors["blk.0.ffn_down.weight"] = []uint64{8, 6} }, "shape [6 8], but"},
		{"missing tensor", func(p parts) { delete(p.tensors, "blk.0.attn_v.bias") }, `"blk.0.attn_v.bias": is missing`},
		{"tensor too many", func(p parts) { p.tensors["blk.0.attn_output.bias"] = []uint64{8} }, "is not part of a qwen2 model of 1 layers"},
		{"window", func(p parts) { p.keys["attention.sliding_window"] = uint32(32) }, "sliding window of 32"},
		{"yarn", func(p parts) { p.keys["rope.scaling.type"] = "yarn" }, `rope scaling "yarn"`},
		{"scaling factor", func(p parts) { p.keys["rope.scaling.factor"] = float32(4) }, "rope scaling by 4"},
		{"experts", func(p parts) { p.keys["expert_count"] = uint32(8) }, "mixtures of experts"},
		{"tokenizer", func(p parts) { p.keys["tokenizer.ggml.model"] = "llama" }, "byte-level BPE"},
		{"no tokens", func(p parts) { delete(p.keys, "tokenizer.ggml.tokens") }, `"tokenizer.ggml.tokens": is missing`},
		{"no merges", func(p parts) { delete(p.keys, "tokenizer.ggml.merges") }, "an array of string is called for"},
		{"token types", func(p parts) { p.keys["tokenizer.ggml.token_type"] = []int32{1} }, "1 entries for 5 tokens"},
		{"token twice", func(p parts) { p.keys["tokenizer.ggml.tokens"] = []string{"a", "b", "c\n", "d", "c\n"} }, `tokens 2 and 4 are both "c\n"`},
		{"eos", func(p parts) { p.keys["tokenizer.ggml.eos_token_id"] = uint32(5) }, "token 5 is not among the 5 tokens"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := sound()
			test.change(p)
			checkRefused(t, p.write(t), test.want)
		})
	}
}

// TestAcceptsHarmless has settings that change nothing.
func TestAcceptsHarmless(t *testing.T) {
	p := sound()
	p.keys["attention.sliding_window"] = uint32(64)
	p.keys["rope.scaling.type"], p.keys["rope.scaling.factor"] = "none", float32(1)
	p.keys["attention.key_length"], p.keys["attention.value_length"] = uint32(2), uint32(2)
	p.keys["rope.dimension_count"], p.keys["vocab_size"] = uint32(2), uint32(5)
	open(t, p.write(t))
}

// TestRefusesBytes damages a sound file's bytes.
func TestRefusesBytes(t *testing.T) {
	good := read(t, sound().write(t))
	huge := []byte{255, 255, 255, 255, 255, 255, 255, 127}
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "the file is empty"},
		{"one byte", []byte("G"), `it starts with "G"`},
		{"not GGUF", []byte("\x80\x02}q\x00 pickled"), "not a GGUF file"},
		{"line break in the magic", []byte("a\nb\n"), `"a\nb\n"`},
		{"LFS pointer", []byte("version https://git-lfs.github.com/spec/v1"), "git lfs pull"},
		{"version 1", overwrite(good, "GGUF", 0, 1), "GGUF version 1"},
		{"version 4", overwrite(good, "GGUF", 0, 4), "GGUF version 4"},
		{"big-endian", overwrite(good, "GGUF", 0, 0, 0, 0, 3), "big-endian"},
		{"magic alone", good[:4], "the file ends at byte 4"},
		{"tensor count", overwrite(good, "GGUF", 4, huge...), "the tensor count claims"},
		{"key count", overwrite(good, "GGUF", 12, huge...), "the key count claims"},
		{"key count beyond int64", overwrite(good, "GGUF", 12, bytes.Repeat([]byte{255}, 8)...), "the key count claims"},
		{"key length", overwrite(good, "qwen2.block_count", -17-8, huge...), "its name claims"},
		{"value type", overwrite(good, "qwen2.block_count", 0, 99), "unknown value type 99"},
		{"array of arrays", overwrite(good, "tokenizer.ggml.merges", 4, 9), "unknown value type 9"},
		{"string length", overwrite(good, "general.name", 4, huge...), "the string length claims"},
		{"string array length", overwrite(good, "tokenizer.ggml.tokens", 8, huge...), "the array length claims"},
		{"int array length", overwrite(good, "tokenizer.ggml.token_type", 8, huge...), "the array length claims"},
		{"key twice", overwrite(good, "qwen2.block_count", -17, []byte("qwen2.block_cxunt")...), `"qwen2.block_count": is missing`},
		{"dimensions", overwrite(good, "output_norm.weight", 0, 5), "has 5 dimensions"},
		{"no dimensions", overwrite(good, "output_norm.weight", 0, 0), "has 0 dimensions"},
		{"dimension", overwrite(good, "output_norm.weight", 4, huge...), "is impossible"},
		{"dimension of zero", overwrite(good, "output_norm.weight", 4, 0), "dimension 0 of 0 elements"},
		{"tensor type", overwrite(good, "output_norm.weight", 12, 4), "unknown tensor type 4"},
		{"blocks", overwrite(good, "output_norm.weight", 12, 8), "Q8_0 needs rows of a multiple of 32 elements, not 8"},
		{"tensor offset", overwrite(good, "output_norm.weight", 16, huge...), "is its place"},
		{"tensor twice", overwrite(good, "blk.0.attn_k.weight", -6, []byte("weighs")...), `"blk.0.attn_k.weight": is missing`},
		{"padding cut", good[:len(good)-1], "past the end of the file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			checkRefused(t, file(t, test.data), test.want)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
				t.Errorf("%d bytes allocated for a file of %d", got, len(test.data))
			}
		})
	}
}

// TestTwice has the same key, then the same tensor, two times.
func TestTwice(t *testing.T) {
	good := read(t, sound().write(t))
	// Names of one length, so that one can take the other's place.
	checkRefused(t, file(t, overwrite(good, "blk.0.attn_k.weight", -19, []byte("blk.0.attn_q.weight")...)), `"blk.0.attn_q.weight": appears twice`)
	p := sound()
	p.keys["general.nama"] = "x"
	checkRefused(t, file(t, overwrite(read(t, p.write(t)), "general.nama", -1, 'e')), `"general.name": appears twice`)
}

// TestSplit makes a key of the right length into split.count, which fs/ggml
// would write as qwen2.split.count.
func TestSplit(t *testing.T) {
	p := sound()
	for count, want := range map[uint32]string{1: "", 3: "one of 3 files of a split model"} {
		p.keys["general.abc"] = count
		path := file(t, overwrite(read(t, p.write(t)), "general.abc", -len("general.abc"), []byte("split.count")...))
		if want == "" {
			open(t, path)
		} else {
			checkRefused(t, path, want)
		}
	}
}

// TestAlignment moves the data of a sound file to multiples of 64 and refuses
// alignments that are none.
func TestAlignment(t *testing.T) {
	p := sound()
	p.keys["general.alignment"] = uint32(64)
	path := p.write(t)
	f := open(t, path)
	if raw, err := f.Raw("output_norm.weight"); err != nil || len(raw) != 32 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	good := read(t, path)
	for _, bad := range []uint32{0, 48} {
		checkRefused(t, file(t, overwrite(good, "general.alignment", 4, binary.LittleEndian.AppendUint32(nil, bad)...)), "is not a power of two")
	}
	checkRefused(t, file(t, overwrite(good, "general.alignment", 0, 5)), "is not a uint32")
}

// TestTruncated cuts a file at every third byte, which falls on every place
// within its 4- and 8-byte fields, and a larger one at every fiftieth of its
// length.
func TestTruncated(t *testing.T) {
	small := read(t, sound().write(t))
	for n := 0; n < len(small); n += 3 {
		want := "fetch or convert it again"
		if n > 0 && n < len("GGUF") {
			want = "not a GGUF file"
		}
		checkRefused(t, file(t, small[:n]), want)
		if t.Failed() {
			t.Fatalf("cut at byte %d of %d", n, len(small))
		}
	}
	large := read(t, synthtest.Tiny(t, "F16"))
	for i := 1; i < 50; i++ {
		checkRefused(t, file(t, large[:len(large)*i/50]), "fetch or convert it again")
	}
}

func TestRefusesPaths(t *testing.T) {
	dir := t.TempDir()
	checkRefused(t, filepath.Join(dir, "none.gguf"), "none.gguf: no such file or directory; check the path")
	checkRefused(t, dir, "not a regular file")
	if _, err := gguf.Open(filepath.Join(dir, "none.gguf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not ErrNotExist", err)
	}
	if os.Getuid() != 0 { // root may read anything
		path := file(t, []byte("GGUF"))
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		checkRefused(t, path, "permission denied")
	}
}
