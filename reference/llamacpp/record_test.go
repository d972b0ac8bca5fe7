package llamacpp_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"attndiff/reference/llamacpp"
	"attndiff/traces/half"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// variants are the runs the recording is checked on.
var variants = []llamacpp.Config{
	{KV: "f16"},
	{KV: "f32"},
	{KV: "f16", FlashAttn: true},
	{KV: "f32", FlashAttn: true},
}

func name(c llamacpp.Config) string {
	return fmt.Sprintf("kv=%s,flash=%v", c.KV, c.FlashAttn)
}

// A prompt of 250 tokens and 10 decodes cross 256 positions, where llama.cpp
// pads its scores and caches to 512 and builds a new graph.
const (
	promptLen = 250
	decodes   = 10
)

// TestTaps checks every recording of every variant against what the model
// itself says of it: shapes, element types, order, caches, scores and
// probabilities.
func TestTaps(t *testing.T) {
	for _, cfg := range variants {
		t.Run(name(cfg), func(t *testing.T) {
			e := open(t, "F16", cfg)
			m := newMemory()
			logits := generate(t, e, prompt(e, promptLen), decodes, always(m))
			h := e.Hparams()
			checkComplete(t, m, h, cfg)
			for step, row := range logits {
				all := m.values(t, tap.At(step, 0, tap.ResultOutput))
				if !sameBits(all[len(all)-h.NVocab:], row) {
					t.Errorf("step %d: the last row of result_output is not the logits", step)
				}
				d := dims(h, step)
				for layer := range h.NLayer {
					checkCache(t, m, step, layer, d, tap.KCache, tap.KRope)
					checkCache(t, m, step, layer, d, tap.VCache, tap.VBias)
					if !cfg.FlashAttn {
						checkProbabilities(t, m, step, layer, d)
						checkScores(t, m, step, layer, d)
					}
					checkSums(t, m, step, layer, d)
				}
			}
		})
	}
}

func dims(h trace.Hparams, step int) tap.Dims {
	d := tap.Dims{T: promptLen, E: h.NEmbd, H: h.NHead, G: h.NHeadKV, D: h.HeadDim, F: h.NFF, V: h.NVocab}
	if step > 0 {
		d.T, d.P = 1, promptLen+step-1
	}
	return d
}

// checkComplete expects every key once, in execution order, with its shape.
func checkComplete(t *testing.T, m *memory, h trace.Hparams, cfg llamacpp.Config) {
	t.Helper()
	if !slices.IsSortedFunc(m.order, tap.Key.Compare) {
		t.Error("recordings did not come in execution order")
	}
	if len(m.order) != len(m.tensors) {
		t.Errorf("%d recordings of %d keys", len(m.order), len(m.tensors))
	}
	for step := range decodes + 1 {
		for layer := range h.NLayer {
			for _, tp := range tap.All() {
				k := tap.At(step, layer, tp)
				r, ok := m.tensors[k]
				if scores := tp == tap.KQ || tp == tap.KQSoftMax; ok == (scores && cfg.FlashAttn) {
					t.Fatalf("%v recorded: %v", k, ok)
				}
				if !ok {
					continue
				}
				if want := tp.Shape(dims(h, step)); !slices.Equal(r.shape, want) {
					t.Errorf("%v has shape %v, want %v", k, r.shape, want)
				}
				want := trace.F32
				if (tp == tap.KCache || tp == tap.VCache) && cfg.KV == "f16" {
					want = trace.F16
				}
				if r.dtype != want {
					t.Errorf("%v is %s, want %s", k, r.dtype, want)
				}
			}
		}
	}
}

// checkCache expects the cache to hold, bit for bit, the stored rounding of
// what this and every earlier step computed, at its position.
func checkCache(t *testing.T, m *memory, step, layer int, d tap.Dims, cache, source tap.Tap) {
	t.Helper()
	k := tap.At(step, layer, cache)
	got := m.values(t, k)
	var want []float32
	for s := 0; s <= step; s++ {
		want = append(want, m.values(t, tap.At(s, layer, source))...)
	}
	if m.tensors[k].dtype == trace.F16 {
		for i := range want {
			want[i] = half.RoundF16(want[i])
		}
	}
	if len(got) != len(want) || len(got) != d.C()*d.G*d.D {
		t.Fatalf("%v has %d elements, want %d", k, len(got), len(want))
	}
	if !sameBits(got, want) {
		t.Errorf("%v is not the stored rounding of %v", k, source)
	}
}

// checkProbabilities expects rows that sum to 1 within the rounding of C
// float32 additions, and nothing on positions after a token's own.
func checkProbabilities(t *testing.T, m *memory, step, layer int, d tap.Dims) {
	t.Helper()
	k := tap.At(step, layer, tap.KQSoftMax)
	p := m.values(t, k)
	bound := float64(d.C()) * 0x1p-24
	for h := range d.H {
		for i := range d.T {
			row := p[(h*d.T+i)*d.C():][:d.C()]
			sum := 0.0
			for pos, v := range row {
				sum += float64(v)
				if pos > d.P+i && v != 0 {
					t.Fatalf("%v: head %d token %d looks at later position %d with %v", k, h, i, pos, v)
				}
			}
			if !(math.Abs(sum-1) <= bound) {
				t.Fatalf("%v: head %d token %d sums to %v", k, h, i, sum)
			}
		}
	}
}

// checkScores expects kq to be the product of the recorded query and the
// recorded cache. llama.cpp rounds the query to the cache's type first, which
// with an f16 cache is all the difference there is but for the order of D
// float32 additions.
func checkScores(t *testing.T, m *memory, step, layer int, d tap.Dims) {
	t.Helper()
	k := tap.At(step, layer, tap.KQ)
	kq, q, cache := m.values(t, k), m.values(t, tap.At(step, layer, tap.QRope)), m.values(t, tap.At(step, layer, tap.KCache))
	rounded := m.tensors[tap.At(step, layer, tap.KCache)].dtype == trace.F16
	for h := range d.H {
		g := h / (d.H / d.G)
		for i := range d.T {
			for pos := range d.C() {
				var sum, size float64
				for j := range d.D {
					x := q[(i*d.H+h)*d.D+j]
					if rounded {
						x = half.RoundF16(x)
					}
					term := float64(x) * float64(cache[(pos*d.G+g)*d.D+j])
					sum += term
					size += math.Abs(term)
				}
				if got := float64(kq[(h*d.T+i)*d.C()+pos]); !(math.Abs(got-sum) <= size*float64(d.D)*0x1p-24) {
					t.Fatalf("%v: head %d token %d position %d is %v, want %v", k, h, i, pos, got, sum)
				}
			}
		}
	}
}

// checkSums expects the residuals to be the sums they stand for, exactly:
// a tensor overwritten while the graph ran would not be.
func checkSums(t *testing.T, m *memory, step, layer int, d tap.Dims) {
	t.Helper()
	input := tap.At(step, 0, tap.InpEmbd)
	if layer > 0 {
		input = tap.At(step, layer-1, tap.LOut)
	}
	for _, s := range [][3]tap.Key{
		{input, tap.At(step, layer, tap.AttnOut), tap.At(step, layer, tap.FFNInp)},
		{tap.At(step, layer, tap.FFNInp), tap.At(step, layer, tap.FFNOut), tap.At(step, layer, tap.LOut)},
	} {
		a, b, sum := m.values(t, s[0]), m.values(t, s[1]), m.values(t, s[2])
		for i := range sum {
			if a[i]+b[i] != sum[i] {
				t.Fatalf("%v[%d] is %v, but %v + %v is %v", s[2], i, sum[i], s[0], s[1], a[i]+b[i])
			}
		}
	}
}
