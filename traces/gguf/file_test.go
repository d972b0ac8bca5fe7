package gguf_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"attndiff/traces/gguf"
	"attndiff/traces/synth"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/trace"
)

func TestOpen(t *testing.T) {
	path := synthtest.Tiny(t, "Q8_0")
	f := open(t, path)
	want := trace.Hparams{NLayer: 2, NEmbd: 128, NHead: 4, NHeadKV: 2, HeadDim: 32, NFF: 160, NVocab: 300,
		RopeFreqBase: 1e6, RopeType: "neox", RMSEps: float64(float32(1e-6))}
	if diff := cmp.Diff(want, f.Hparams); diff != "" {
		t.Error(diff)
	}
	if f.Path != path || f.Name != "tiny" || f.ContextLength != 2048 || f.Output() != "token_embd.weight" {
		t.Errorf("path %s, name %s, context %d, output %s", f.Path, f.Name, f.ContextLength, f.Output())
	}
	info, ok := f.Tensor("blk.1.ffn_down.weight")
	if !ok || info.Type != "Q8_0" || !slices.Equal(info.Shape, []int{128, 160}) || info.Size != 128*160/32*34 || info.Rows() != 128 || info.Cols() != 160 {
		t.Errorf("%+v, %v", info, ok)
	}
	sum := sha256.Sum256(read(t, path))
	for range 2 {
		if got, err := f.SHA256(); err != nil || got != hex.EncodeToString(sum[:]) {
			t.Errorf("sha256 %s, %v", got, err)
		}
	}
}

// TestDefaults opens a model without the keys that llama.cpp does not ask for.
func TestDefaults(t *testing.T) {
	p := sound()
	for _, key := range []string{"attention.head_count_kv", "general.name", "tokenizer.ggml.eos_token_id"} {
		delete(p.keys, key)
	}
	p.tensors["blk.0.attn_k.weight"], p.tensors["blk.0.attn_k.bias"] = []uint64{8, 8}, []uint64{8}
	p.tensors["blk.0.attn_v.weight"], p.tensors["blk.0.attn_v.bias"] = []uint64{8, 8}, []uint64{8}
	p.tensors["output.weight"] = []uint64{8, 5}
	p.kind["output.weight"] = 1
	f := open(t, p.write(t))
	if f.Name != "m" || f.Hparams.NHeadKV != 4 || f.Hparams.RopeFreqBase != 10000 || f.Output() != "output.weight" || f.WeightTypes() != "F32+F16" {
		t.Errorf("%s, %+v, %s, %s", f.Name, f.Hparams, f.Output(), f.WeightTypes())
	}
	if v, err := f.Vocab(); err != nil || v.EOS != gguf.NoToken || !v.IsEOG(2) || v.IsEOG(0) {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestVocab(t *testing.T) {
	v, err := open(t, sound().write(t)).Vocab()
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Decode([]int32{0, 1, 3, 4, 2}); got != "a b<|x|>  <|im_end|>" {
		t.Errorf("decoded %q", got)
	}
	for id, want := range []bool{true, false, true, false, false} {
		if v.IsEOG(int32(id)) != want {
			t.Errorf("token %d ends: %v", id, !want)
		}
	}
}

// TestSpellBytes checks the spelling of all bytes against what is known of it:
// printable bytes stand for themselves, the others for U+0100 and on.
func TestSpellBytes(t *testing.T) {
	seen := map[string]bool{}
	for b := range 256 {
		s := gguf.SpellBytes(string([]byte{byte(b)}))
		r := []rune(s)
		printable := b > 0x20 && b < 0x7f || b > 0xa0 && b != 0xad
		if len(r) != 1 || seen[s] || printable != (r[0] == rune(b)) || !printable && (r[0] < 256 || r[0] >= 256+68) {
			t.Errorf("byte %d is %q", b, s)
		}
		seen[s] = true
	}
	if got := gguf.SpellBytes(" a\n"); got != "ĠaĊ" {
		t.Errorf("%q", got)
	}
}

// TestFloat32 holds every type against the float64 values that its bytes mean,
// worked out here in another way, and against the weights before rounding.
func TestFloat32(t *testing.T) {
	exact := open(t, synthtest.Tiny(t, "F32"))
	for _, typ := range []string{"F32", "F16", "BF16", "Q8_0"} {
		f := open(t, synthtest.Tiny(t, typ))
		for _, p := range gguf.Parts(f.Hparams, true) {
			got, err := f.Float32(p.Name)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := f.Raw(p.Name)
			if err != nil {
				t.Fatal(err)
			}
			before, err := exact.Float32(p.Name)
			if err != nil {
				t.Fatal(err)
			}
			info, _ := f.Tensor(p.Name)
			for i, v := range got {
				want, step := stored(info.Type, raw, i)
				if float64(v) != want || !(math.Abs(want-float64(before[i])) <= step) {
					t.Fatalf("%s %s element %d is %v, want %v, near %v", typ, p.Name, i, v, want, before[i])
				}
			}
		}
	}
}

// stored returns what element i of raw means, and the most that rounding to
// the type may have moved it: half of the last place.
func stored(typ string, raw []byte, i int) (value, step float64) {
	word := func(at int) int { return int(raw[at]) | int(raw[at+1])<<8 }
	switch typ {
	case "F16":
		v := decimal(word(2*i), 10, 5)
		return v, math.Abs(v)/2048 + math.Ldexp(1, -25)
	case "BF16":
		v := decimal(word(2*i), 7, 8)
		return v, math.Abs(v) / 256
	case "Q8_0":
		d := decimal(word(i/32*34), 10, 5)
		q := float64(int8(raw[i/32*34+2+i%32]))
		// The product is rounded to float32 once. Rounding moved the value by
		// half a d, and d to F16 all of them by up to 127 times its last place.
		return float64(float32(d * q)), d/2 + 127*(d/2048+math.Ldexp(1, -25))
	default:
		return decimal(word(4*i)|word(4*i+2)<<16, 23, 8), 0
	}
}

// decimal returns the value of a float's bits by its definition,
// (-1)^s * 1.f * 2^(e-bias).
func decimal(bits, fraction, exponent int) float64 {
	f := bits & (1<<fraction - 1)
	e := bits >> fraction & (1<<exponent - 1)
	bias := 1<<(exponent-1) - 1
	v := math.Ldexp(float64(f+1<<fraction), e-bias-fraction)
	if e == 0 {
		v = math.Ldexp(float64(f), 1-bias-fraction)
	}
	if bits>>(fraction+exponent)&1 == 1 {
		v = -v
	}
	return v
}

// TestFloat32Rows reads a tensor larger than the decoder's chunk whole, by
// rows and from several goroutines.
func TestFloat32Rows(t *testing.T) {
	f := open(t, synthtest.Tiny(t, "F16", func(s *synth.Spec) { s.Vocab = 5000 }))
	whole, err := f.Float32("token_embd.weight")
	if err != nil || len(whole) != 5000*128 {
		t.Fatalf("%d elements, %v", len(whole), err)
	}
	var wg sync.WaitGroup
	for _, r := range [][2]int{{0, 0}, {0, 1}, {4999, 5000}, {1, 4500}, {5000, 5000}} {
		wg.Go(func() {
			part, err := f.Float32Rows("token_embd.weight", r[0], r[1])
			if err != nil || !slices.Equal(part, whole[128*r[0]:128*r[1]]) {
				t.Errorf("rows %v: %d elements, %v", r, len(part), err)
			}
		})
	}
	wg.Wait()
	for _, r := range [][2]int{{-1, 2}, {3, 2}, {0, 5001}} {
		if _, err := f.Float32Rows("token_embd.weight", r[0], r[1]); err == nil || !strings.Contains(err.Error(), "has 5000 rows") {
			t.Errorf("rows %v: %v", r, err)
		}
	}
	for _, read := range []func() error{
		func() error { _, err := f.Raw("blk.9.attn_q.weight"); return err },
		func() error { _, err := f.Float32("blk.9.attn_q.weight"); return err },
	} {
		if err := read(); err == nil || !strings.Contains(err.Error(), `"blk.9.attn_q.weight": not in the file`) {
			t.Errorf("error %v", err)
		}
	}
}

// TestDequantizer opens a model with a Q4_0 matrix, without and with a decoder.
func TestDequantizer(t *testing.T) {
	p := sound()
	p.keys["embedding_length"], p.keys["attention.head_count"] = uint32(32), uint32(2)
	for name, shape := range p.tensors {
		for i, n := range shape {
			if n == 8 || n == 4 {
				shape[i] = 32 // 2 heads and 2 KV heads of 16
			}
		}
		p.tensors[name] = shape
	}
	p.kind["blk.0.ffn_up.weight"] = 2
	path := p.write(t)
	if _, err := open(t, path).Float32("blk.0.ffn_up.weight"); err == nil || !strings.Contains(err.Error(), `"blk.0.ffn_up.weight": type Q4_0 cannot be decoded here`) {
		t.Errorf("error %v", err)
	}
	broken := errors.New("no such block")
	for _, fail := range []error{nil, broken} {
		f := open(t, path, gguf.WithDequantizer(func(typ string, raw []byte, dst []float32) error {
			if typ != "Q4_0" || len(raw) != len(dst)/32*18 {
				t.Errorf("asked for %d elements of %s in %d bytes", len(dst), typ, len(raw))
			}
			for i := range dst {
				dst[i] = 7
			}
			return fail
		}))
		v, err := f.Float32Rows("blk.0.ffn_up.weight", 1, 3)
		if !errors.Is(err, fail) || fail == nil && (len(v) != 64 || v[63] != 7) {
			t.Errorf("%v, %v", v, err)
		}
		if _, err := f.Float32("blk.0.ffn_gate.weight"); err != nil {
			t.Error(err) // F32 is decoded here
		}
	}
}

func TestDecodeLengths(t *testing.T) {
	for _, test := range []struct {
		typ      string
		raw, dst int
		want     string
	}{
		{"F16", 3, 2, "take 4 bytes, not 3"},
		{"Q8_0", 34, 31, "multiple of 32"},
		{"Q4_K", 144, 256, "cannot be decoded"},
		{"X", 0, 0, "cannot be decoded"},
	} {
		if err := gguf.Decode(test.typ, make([]byte, test.raw), make([]float32, test.dst)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.typ, err, test.want)
		}
	}
}

// BenchmarkFloat32 decodes the largest matrix of a layer of Qwen2.5-0.5B.
func BenchmarkFloat32(b *testing.B) {
	for _, typ := range []string{"F32", "F16", "BF16", "Q8_0"} {
		b.Run(typ, func(b *testing.B) {
			f := open(b, synthtest.Tiny(b, typ, func(s *synth.Spec) { s.Layers, s.Embd, s.Heads, s.FF = 1, 896, 14, 4864 }))
			b.SetBytes(896 * 4864 * 4)
			for b.Loop() {
				if _, err := f.Float32("blk.0.ffn_down.weight"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen opens a file with the vocabulary of Qwen2.5.
func BenchmarkOpen(b *testing.B) {
	path := synthtest.Tiny(b, "Q8_0", func(s *synth.Spec) { s.Vocab = 151936 })
	for b.Loop() {
		f, err := gguf.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
