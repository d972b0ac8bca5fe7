package synth_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"attndiff/traces/gguf"
	"attndiff/traces/gguf/writer"
	"attndiff/traces/synth"
	"attndiff/traces/synth/synthtest"
)

// golden are the digests of the tiny shape with seed 1. They must be the same
// on every machine; a change of them is a change of every synthetic model.
var golden = map[string]string{
	"F32":  "ac1eb9131604387f37d2e72b19920d7cc2c86ca171da33940838a6922a7de1a5",
	"F16":  "d954419a8ed7f1175255e4410d56d9ae01579f0bd9300e3ce8aa22737a693eba",
	"BF16": "269acaa32a98cf5e6552d9983c0f2a14981737ff891419663396cb9ffca8eeb7",
	"Q8_0": "c5f33405685381e3d2ee82f5c999f08083fe0ce7f8cc3ba38ccefd15456e8b8b",
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

func TestGolden(t *testing.T) {
	for _, typ := range writer.Types() {
		t.Run(typ, func(t *testing.T) {
			f := open(t, synthtest.Tiny(t, typ))
			sum, err := f.SHA256()
			if err != nil || sum != golden[typ] {
				t.Errorf("sha256 %q, %v; want %q", sum, err, golden[typ])
			}
			if f.WeightTypes() != typ {
				t.Errorf("types %s, want %s", f.WeightTypes(), typ)
			}
		})
	}
}

// TestThreads writes the same file with one thread and with several.
func TestThreads(t *testing.T) {
	alone := func() []byte {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		return read(t, synthtest.Tiny(t, "Q8_0"))
	}()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	if !bytes.Equal(alone, read(t, synthtest.Tiny(t, "Q8_0"))) {
		t.Error("the file depends on the number of threads")
	}
}

// TestTensorsStandAlone adds a tensor and a layer; the others must not change.
func TestTensorsStandAlone(t *testing.T) {
	a := open(t, synthtest.Tiny(t, "F32"))
	b := open(t, synthtest.Tiny(t, "F32", func(s *synth.Spec) { s.Untied, s.Layers = true, 3 }))
	other := open(t, synthtest.Tiny(t, "F32", func(s *synth.Spec) { s.Seed = 2 }))
	if a.Output() != gguf.TokenEmbd || b.Output() != gguf.OutputProj {
		t.Errorf("outputs %s and %s", a.Output(), b.Output())
	}
	for _, p := range gguf.Parts(a.Hparams, true) {
		if !bytes.Equal(raw(t, a, p.Name), raw(t, b, p.Name)) {
			t.Errorf("%s changed with the model around it", p.Name)
		}
		if bytes.Equal(raw(t, a, p.Name), raw(t, other, p.Name)) {
			t.Errorf("%s does not depend on the seed", p.Name)
		}
	}
}

// TestValues checks what fill promises about sizes.
func TestValues(t *testing.T) {
	f := open(t, synthtest.Tiny(t, "F32"))
	dev := func(name string) float64 {
		v, err := f.Float32(name)
		if err != nil {
			t.Fatal(err)
		}
		var sum float64
		for _, x := range v {
			sum += float64(x) * float64(x)
		}
		return math.Sqrt(sum / float64(len(v)))
	}
	for name, want := range map[string]float64{
		"blk.1.ffn_down.weight": 1 / math.Sqrt(160),
		"blk.0.attn_q.weight":   1 / math.Sqrt(128),
		"token_embd.weight":     3 / math.Sqrt(128),
		"blk.1.attn_k.bias":     1,
	} {
		// The deviation of n bell-shaped numbers is known to about 1/sqrt(2n),
		// 9 % for the shortest of these; four times that.
		if got := dev(name); !(math.Abs(got/want-1) < 0.36) {
			t.Errorf("%s has deviation %v, want about %v", name, got, want)
		}
	}
	bias, err := f.Float32("blk.0.attn_k.bias")
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range bias {
		slow := i%16 >= 14 // head_dim 32: pairs (14,30) and (15,31) of each head
		if mag := math.Abs(float64(b)); slow != (mag >= 40) || !(mag < 60) {
			t.Errorf("K bias %d of layer 0 is %v", i, b)
		}
	}
	zero := open(t, synthtest.Tiny(t, "F32", func(s *synth.Spec) { s.ZeroBiases = true }))
	for _, b := range raw(t, zero, "blk.0.attn_k.bias") {
		if b != 0 {
			t.Fatal("a bias is not zero")
		}
	}
}

func TestVocabulary(t *testing.T) {
	f := open(t, synthtest.Tiny(t, "F32"))
	v, err := f.Vocab()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int32{}
	for i, tok := range v.Tokens {
		ids[tok] = int32(i)
	}
	for b := range 256 {
		if got := v.Decode([]int32{int32(b)}); got != string([]byte{byte(b)}) {
			t.Errorf("token %d is %q", b, got)
		}
	}
	for text, end := range map[string]bool{"<|im_start|>": false, "<|im_end|>": true, "<|endoftext|>": true} {
		id, ok := ids[text]
		if !ok || v.IsEOG(id) != end || v.Types[id] != gguf.TokenControl || v.Decode([]int32{id}) != text {
			t.Errorf("%s: id %d (%v), ends %v, type %d", text, id, ok, v.IsEOG(id), v.Types[id])
		}
	}
	if got := v.Decode([]int32{ids["Ġthe"], ids["re"], 256 - 1, 299, -1, 300}); got != " there\xff<|im_end|>[token -1][token 300]" {
		t.Errorf("decoded %q", got)
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		change func(*synth.Spec)
		want   string
	}{
		{func(s *synth.Spec) { s.Layers = 0 }, "layers is 0"},
		{func(s *synth.Spec) { s.Vocab = 10 }, "vocab is 10"},
		{func(s *synth.Spec) { s.Heads = 3 }, "3 heads are not a multiple of 2 KV heads"},
		{func(s *synth.Spec) { s.Embd = 130 }, "embd 130 must be a multiple of 4 heads"},
		{func(s *synth.Spec) { s.Embd = 132 }, "even head size"},
		{func(s *synth.Spec) { s.Type, s.FF = "Q8_0", 100 }, "multiples of 32"},
		{func(s *synth.Spec) { s.Type = "Q9" }, "the types are F32, F16, BF16, Q8_0"},
		{func(s *synth.Spec) { s.Type = "Q4_K" }, "without ggml's quantiser"},
		{func(s *synth.Spec) { s.RopeBase = math.NaN() }, "rope base is NaN"},
		{func(s *synth.Spec) { s.RMSEps = 0 }, "rms eps is 0"},
	} {
		s, err := synth.Named("tiny")
		if err != nil {
			t.Fatal(err)
		}
		test.change(&s)
		dir := t.TempDir()
		if err := synth.Write(filepath.Join(dir, "m.gguf"), s); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%v left behind", left)
		}
	}
	if _, err := synth.Named("huge"); err == nil || !strings.Contains(err.Error(), "qwen2.5-0.5b, tiny") {
		t.Errorf("error %v", err)
	}
	if err := synth.Write(filepath.Join(t.TempDir(), "no", "m.gguf"), synth.Spec{}); err == nil {
		t.Error("an empty spec was written")
	}
}

// TestMemory writes a model whose largest tensor alone is 32 MB and counts
// every byte allocated meanwhile, freed or not.
func TestMemory(t *testing.T) {
	s, err := synth.Named("tiny")
	if err != nil {
		t.Fatal(err)
	}
	s.Type, s.Vocab, s.Layers = "F32", 1<<16, 1
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := synth.Write(path, s); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	// What grows with the model is the vocabulary, some 200 bytes a token.
	if got := after.TotalAlloc - before.TotalAlloc; got > 24<<20 {
		t.Errorf("%d bytes allocated for a file of %d", got, len(read(t, path)))
	}
}

// BenchmarkWrite writes a model of 13 million weights.
func BenchmarkWrite(b *testing.B) {
	s, err := synth.Named("tiny")
	if err != nil {
		b.Fatal(err)
	}
	s.Layers, s.Embd, s.FF, s.Vocab = 2, 896, 2048, 1000
	path := filepath.Join(b.TempDir(), "m.gguf")
	b.ReportAllocs()
	for b.Loop() {
		if err := synth.Write(path, s); err != nil {
			b.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func raw(t *testing.T, f *gguf.File, name string) []byte {
	t.Helper()
	data, err := f.Raw(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
