package qwen2_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"attndiff/ours/qwen2"
	"attndiff/traces/synth"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Bounds on the error against the float64 reference. Every tap inherits the
// rounding of all ops before it. The worst comes out of the softmax: the tiny
// model's scores reach some hundreds, and the exponential turns their absolute
// error, some hundred units of 2^-24, into a relative one; 256 units, squared,
// is the first bound. An f16 cache may round to a neighbour where f32 and
// float64 fall on two sides of a tie, which at worst is one f16 rounding.
const (
	boundF32 = (256.0 / (1 << 24)) * (256.0 / (1 << 24))
	boundF16 = 4e-8
)

func bound(kv string) float64 {
	if kv == "f16" {
		return boundF16
	}
	return boundF32
}

// randomTokens returns n random ids of a vocabulary, always the same.
func randomTokens(n, vocab int) []int32 {
	r := rand.New(rand.NewPCG(1, 2))
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(r.IntN(vocab))
	}
	return tokens
}

// checkSteps runs steps over tokens and holds every recording against the
// reference, shapes and order included.
func checkSteps(t *testing.T, m *qwen2.Model, ref *text, tokens []int32, sizes []int, path qwen2.Path, bound float64) {
	t.Helper()
	got := newMemory(t)
	feed(t, m, tokens, sizes, got)
	if !slices.IsSortedFunc(got.order, tap.Key.Compare) {
		t.Error("recordings out of execution order")
	}
	hp := m.Hparams()
	perStep := 0
	for _, at := range tap.All() {
		switch {
		case !path.Computes(at):
		case at.PerLayer():
			perStep += hp.NLayer
		default:
			perStep++
		}
	}
	want := len(sizes) * perStep
	if len(got.kept) != want {
		t.Errorf("%d recordings, want %d", len(got.kept), want)
	}
	d := tap.Dims{E: hp.NEmbd, H: hp.NHead, G: hp.NHeadKV, D: hp.HeadDim, F: hp.NFF, V: hp.NVocab}
	for step, n := range sizes {
		d.T = n
		for _, k := range got.order {
			if k.Step != step {
				continue
			}
			r := got.kept[k]
			if !slices.Equal(r.shape, k.Tap.Shape(d)) {
				t.Errorf("%s: shape %v, want %v", k, r.shape, k.Tap.Shape(d))
				continue
			}
			if e := nmse(r.floats(), ref.step(k, d)); !(e <= bound) {
				t.Errorf("%s: NMSE %.3g against float64, want at most %.3g", k, e, bound)
			}
		}
		d.P += n
	}
}

func TestForwardPassAgainstFloat64(t *testing.T) {
	tests := []struct{ weights, kv string }{
		{"F32", "f32"}, {"F32", "f16"}, {"F16", "f16"}, {"F16", "f32"}, {"BF16", "f16"}, {"Q8_0", "f32"},
	}
	for _, tt := range tests {
		t.Run(tt.weights+"-"+tt.kv, func(t *testing.T) {
			f := tiny(t, tt.weights)
			tokens := randomTokens(16, f.Hparams.NVocab)
			ref := newReference(t, f, tt.kv).run(tokens)
			m := load(t, f, qwen2.Options{KV: tt.kv, Capacity: 40})
			checkSteps(t, m, ref, tokens, []int{13, 1, 1, 1}, qwen2.Unfused, bound(tt.kv))
		})
	}
}

// TestOddSizes runs shapes that are no multiple of a warp, a tile or a block,
// and one past the tiles of scores.cu and weighted_sum.cu.
func TestOddSizes(t *testing.T) {
	shape := func(embd, heads, kv, ff int) func(*synth.Spec) {
		return func(s *synth.Spec) { s.Embd, s.Heads, s.HeadsKV, s.FF, s.Layers = embd, heads, kv, ff, 1 }
	}
	tests := []struct {
		name  string
		shape func(*synth.Spec)
		steps []int
	}{
		{"one token", shape(128, 4, 2, 160), []int{1, 1}},
		{"head_dim 2", shape(6, 3, 1, 5), []int{3, 1}},
		{"head_dim 10, 7 heads to a KV head", shape(140, 14, 2, 33), []int{9, 1, 1}},
		{"head_dim 66, two stages of 64 dims", shape(132, 2, 1, 257), []int{33, 1}},
		{"head_dim 256, no groups", shape(512, 2, 2, 31), []int{5, 1}},
		{"positions past 256", shape(36, 2, 1, 7), []int{255, 1, 1, 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := tiny(t, "F32", tt.shape)
			n := 0
			for _, s := range tt.steps {
				n += s
			}
			tokens := randomTokens(n, f.Hparams.NVocab)
			ref := newReference(t, f, "f32").run(tokens)
			m := load(t, f, qwen2.Options{KV: "f32", Capacity: n}) // filled to the last row
			checkSteps(t, m, ref, tokens, tt.steps, qwen2.Unfused, boundF32)
		})
	}
}

// TestPrefillEqualsSingleTokens feeds one text at once and token by token. The
// GEMM library may sum in another order for one row than for many, so what
// follows it agrees to rounding.
func TestPrefillEqualsSingleTokens(t *testing.T) {
	for _, kv := range []string{"f16", "f32"} {
		t.Run(kv, func(t *testing.T) {
			f := tiny(t, "F16")
			tokens := randomTokens(11, f.Hparams.NVocab)
			m := load(t, f, qwen2.Options{KV: kv, Capacity: len(tokens)})
			at := tap.At(0, tap.NoLayer, tap.ResultOutput)

			whole := newMemory(t)
			feed(t, m, tokens, []int{len(tokens)}, whole)
			all := whole.kept[at].floats()

			m.Reset()
			for i := range tokens {
				logits, err := m.Step(i, tokens[i:i+1], nil)
				if err != nil {
					t.Fatal(err)
				}
				row := all[i*len(logits) : (i+1)*len(logits)]
				if e := nmse(widen(logits), row); !(e <= bound(kv)) {
					t.Errorf("token %d: logits differ from the prefill's by NMSE %.3g, want at most %.3g", i, e, bound(kv))
				}
			}
		})
	}
}

// TestStepReturnsLastRow compares the logits returned with those recorded, and
// the device's argmax with a plain one.
func TestStepReturnsLastRow(t *testing.T) {
	f := tiny(t, "F16")
	m := load(t, f, qwen2.Options{KV: "f16", Capacity: 8})
	tokens := randomTokens(7, f.Hparams.NVocab)
	got := newMemory(t)
	logits := feed(t, m, tokens, []int{5, 2}, got)
	all := got.kept[tap.At(1, tap.NoLayer, tap.ResultOutput)].floats()
	if want := all[len(all)-len(logits):]; !slices.Equal(widen(logits), want) {
		t.Error("Step's logits are not the last row of result_output")
	}
	best, err := m.Argmax()
	if err != nil {
		t.Fatal(err)
	}
	if want := slices.Index(logits, slices.Max(logits)); int(best) != want {
		t.Errorf("argmax %d, want %d", best, want)
	}
}

// TestSinkFilters checks that recording less, or nothing, changes no logit.
func TestSinkFilters(t *testing.T) {
	f := tiny(t, "F16")
	m := load(t, f, qwen2.Options{KV: "f16", Capacity: 8})
	tokens := randomTokens(6, f.Hparams.NVocab)
	plain := feed(t, m, tokens, []int{5, 1}, nil)
	m.Reset()
	some := newMemory(t)
	filtered := feed(t, m, tokens, []int{5, 1}, trace.Filter{Sink: some, Taps: []tap.Tap{tap.KQ}})
	if len(some.order) != 2*f.Hparams.NLayer {
		t.Errorf("recorded %v, want kq of every step and layer", some.order)
	}
	if !slices.Equal(plain, filtered) {
		t.Error("recording changed the logits")
	}
}

func TestRefusals(t *testing.T) {
	f := tiny(t, "F16")
	V := f.Hparams.NVocab
	m := load(t, f, qwen2.Options{KV: "f16", Capacity: 4})
	if _, err := m.Argmax(); err == nil {
		t.Error("argmax before any step was accepted")
	}
	feed(t, m, randomTokens(3, V), []int{3}, nil)
	tests := []struct {
		name   string
		tokens []int32
		want   string
	}{
		{"no tokens", nil, "no tokens"},
		{"too many", []int32{1, 2}, "KV cache of 4 positions"},
		{"negative id", []int32{-1}, "id -1"},
		{"id past the vocabulary", []int32{int32(V)}, fmt.Sprintf("ids are 0 to %d", V-1)},
	}
	for _, tt := range tests {
		if _, err := m.Step(1, tt.tokens, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
	if _, err := m.Step(1, []int32{1}, nil); err != nil {
		t.Errorf("a refused step spoiled the cache: %v", err)
	}
}

func TestOptions(t *testing.T) {
	f := tiny(t, "F16")
	for _, opt := range []qwen2.Options{
		{KV: "f8", Capacity: 4}, {KV: "f16"}, {KV: "f16", Capacity: -1},
		{KV: "f16", Capacity: 4, Path: "fusion"}, {KV: "f32", Capacity: 4, Path: qwen2.Fused}, // and heads of 32 elements
		{KV: "f16", Capacity: 4, Path: qwen2.Fused},
	} {
		if _, err := qwen2.Load(nil, f, opt); err == nil {
			t.Errorf("options %+v were accepted", opt)
		}
	}
}

// TestEdit takes the ops of a step as data: one op per tap, in order, and what
// the hook returns is what runs.
func TestEdit(t *testing.T) {
	f := tiny(t, "F16")
	var seen []tap.Key
	m := load(t, f, qwen2.Options{KV: "f16", Capacity: 4, Edit: func(ops []qwen2.Op) []qwen2.Op {
		for _, op := range ops {
			seen = append(seen, op.At)
		}
		return ops[:1]
	}})
	got := newMemory(t)
	feed(t, m, []int32{1, 2}, []int{2}, got)
	if want := 3 + f.Hparams.NLayer*(int(tap.Count)-3); len(seen) != want || !slices.IsSortedFunc(seen, tap.Key.Compare) {
		t.Errorf("the hook saw %d ops, want %d in execution order", len(seen), want)
	}
	if want := []tap.Key{tap.At(0, tap.NoLayer, tap.InpEmbd)}; !slices.Equal(got.order, want) {
		t.Errorf("ran %v, want %v", got.order, want)
	}
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}
