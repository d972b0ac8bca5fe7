package qwen2_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/x448/float16"

	"attndiff/ours/device"
	"attndiff/ours/emu"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
	"attndiff/traces/synth"
)

// fusedBound is the NMSE that the fused kernels may have against float64. Scores
// here reach 10, and an f32 score is off by some units of 2^-24 of that, which
// the exponential makes a relative error of a weight: 64 units, squared.
const fusedBound = (64.0 / (1 << 24)) * (64.0 / (1 << 24))

// attention is one problem for the fused kernels: T tokens that end a text of C.
type attention struct {
	T, C, H, G, D int
	q             []float32 // [T,H,D]
	k, v          []float16.Float16
	spare         int // rows of NaN behind the cache's C
}

// newAttention draws a problem. Values are about 1, scores as large as their
// scale makes them.
func newAttention(seed uint64, T, C, H, G, D int, scale float64) *attention {
	r := rand.New(rand.NewPCG(seed, 7))
	a := &attention{T: T, C: C, H: H, G: G, D: D, spare: 70}
	for range T * H * D {
		a.q = append(a.q, float32(scale*r.NormFloat64()))
	}
	for range C * G * D {
		a.k = append(a.k, float16.Fromfloat32(float32(r.NormFloat64())))
		a.v = append(a.v, float16.Fromfloat32(float32(r.NormFloat64())))
	}
	return a
}

// scale is 1/sqrt(D).
func (a *attention) scale() float64 { return 1 / math.Sqrt(float64(a.D)) }

// want is the answer in float64.
func (a *attention) want() []float64 {
	var y []float64
	for t := range a.T {
		for h := range a.H {
			g := h / (a.H / a.G)
			kv := func(x []float16.Float16, c, d int) float64 { return float64(x[(c*a.G+g)*a.D+d].Float32()) }
			scores := make([]float64, a.C-a.T+t+1)
			for c := range scores {
				for d := range a.D {
					scores[c] += float64(a.q[(t*a.H+h)*a.D+d]) * kv(a.k, c, d)
				}
			}
			row := make([]float64, a.D)
			for c, p := range softmax(scores, a.scale()) {
				for d := range row {
					row[d] += p * kv(a.v, c, d)
				}
			}
			y = append(y, row...)
		}
	}
	return y
}

// cache uploads keys or values with rows of NaN behind them.
func (b bench) cache(a *attention, x []float16.Float16) device.Pointer {
	b.t.Helper()
	raw := make([]byte, 0, 2*len(x))
	for _, v := range x {
		raw = binary.LittleEndian.AppendUint16(raw, v.Bits())
	}
	for range a.spare * a.G * a.D {
		raw = binary.LittleEndian.AppendUint16(raw, 0x7e00)
	}
	buf, err := b.dev.Alloc(len(raw), "cache")
	if err == nil {
		err = b.dev.Upload(buf, 0, raw)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return device.Pointer{Buffer: buf}
}

// decode runs fused_decode over a number of splits, twice: the second launch
// finds the tickets as the first one left them.
func (b bench) decode(a *attention, splits int) []float64 {
	b.t.Helper()
	warps, n := 8, splits*a.H*4
	scratch := func(bytes int, label string) device.Buffer {
		buf, err := b.dev.Alloc(bytes, label)
		if err != nil {
			b.t.Fatal(err)
		}
		return buf
	}
	units := a.G * ((a.H/a.G + 7) / 8)
	partial, extremes, tickets := scratch(n*a.D, "partial"), scratch(2*n, "extremes"), scratch(4*units, "tickets")
	if err := b.dev.Upload(tickets, 0, make([]byte, 4*units)); err != nil {
		b.t.Fatal(err)
	}
	q, k, v, out := b.upload(a.q), b.cache(a, a.k), b.cache(a, a.v), scratch(4*a.H*a.D, "kqv")
	writes := []device.Region{{Buffer: out, Length: out.Bytes(), Fresh: true}}
	if splits > 1 {
		writes = append(writes, device.Region{Buffer: partial, Length: partial.Bytes(), Fresh: true},
			device.Region{Buffer: extremes, Length: extremes.Bytes(), Fresh: true})
	}
	var first []float64
	for run := range 2 {
		err := b.dev.Launch(device.Launch{
			Kernel: fmt.Sprintf("fused_decode_%d", a.D), Grid: device.Dim3{X: splits, Y: a.G, Z: units / a.G}, Block: device.Dim3{X: 32 * warps},
			SharedBytes: warps * 8 * (a.D + 2) * 4,
			Args: []device.Arg{device.Pointer{Buffer: q}, k, v, device.Pointer{Buffer: out}, device.Pointer{Buffer: partial},
				device.Pointer{Buffer: extremes}, device.Pointer{Buffer: tickets},
				device.Int(a.C), device.Int(a.H), device.Int(a.G), device.Float(a.scale())},
			Writes: writes,
		})
		if err != nil {
			b.t.Fatal(err)
		}
		got := b.floats(out)
		if run == 0 {
			first = got
		} else if !slices.EqualFunc(got, first, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) }) {
			b.t.Errorf("a second launch gives other values")
		}
	}
	return first
}

// prefill runs fused_prefill.
func (b bench) prefill(a *attention) []float64 {
	b.t.Helper()
	q, k, v := b.upload(a.q), b.cache(a, a.k), b.cache(a, a.v)
	out, err := b.dev.Alloc(4*len(a.q), "kqv")
	if err != nil {
		b.t.Fatal(err)
	}
	err = b.dev.Launch(device.Launch{
		Kernel: fmt.Sprintf("fused_prefill_%d", a.D), Grid: device.Dim3{X: (a.T*a.H/a.G + 63) / 64, Y: a.G}, Block: device.Dim3{X: 128},
		SharedBytes: 32 << 10,
		Args: []device.Arg{device.Pointer{Buffer: q}, k, v, device.Pointer{Buffer: out},
			device.Int(a.T), device.Int(a.C), device.Int(a.H), device.Int(a.G), device.Float(a.scale())},
		Writes: []device.Region{{Buffer: out, Length: out.Bytes(), Fresh: true}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return b.floats(out)
}

// floats downloads a buffer of f32.
func (b bench) floats(buf device.Buffer) []float64 {
	b.t.Helper()
	raw := make([]byte, buf.Bytes())
	if err := b.dev.Download(raw, buf, 0); err != nil {
		b.t.Fatal(err)
	}
	var x []float64
	for i := 0; i < len(raw); i += 4 {
		x = append(x, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[i:]))))
	}
	return x
}

// shuffled is a bench whose device runs blocks, warps and lanes in an order
// that no correct kernel depends on.
func shuffled(t *testing.T, seed int64) bench {
	t.Helper()
	dev, err := emu.Open(kernels.Default(), emu.Options{Checks: true, Strict: true, Order: "shuffle", Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return bench{t, dev}
}

// TestFusedDecode holds the fused decode against float64 over lengths around a
// warp's tile and a block's, groups of query heads that fill a unit, part of
// it or more than one, and numbers of splits up to more than there are tiles.
func TestFusedDecode(t *testing.T) {
	b := shuffled(t, 1)
	type test struct{ C, H, G, D, splits int }
	var tests []test
	for _, D := range []int{64, 128} {
		for _, C := range []int{1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1100} {
			tests = append(tests, test{C, 14, 2, D, 1}, test{C, 14, 2, D, 3})
		}
		for _, heads := range [][2]int{{1, 1}, {2, 2}, {2, 1}, {3, 1}, {6, 2}, {8, 1}, {9, 1}, {16, 1}, {24, 2}} {
			tests = append(tests, test{300, heads[0], heads[1], D, 2})
		}
		for _, splits := range []int{2, 5, 19, 33, 66, 132, 160} {
			tests = append(tests, test{600, 14, 2, D, splits})
		}
	}
	for i, tt := range tests {
		a := newAttention(uint64(i), 1, tt.C, tt.H, tt.G, tt.D, 2)
		if e := nmse(b.decode(a, tt.splits), a.want()); !(e <= fusedBound) {
			t.Errorf("%+v: NMSE %.3g against float64, want at most %.3g", tt, e, fusedBound)
		}
	}
}

// TestFusedForwardPass runs a whole model on the fused path: prefill, decode,
// several tokens after cached ones, decode again; queries in groups of one, of
// seven and of more than a block's. The bound is that of a longer text than the
// unfused path's tests have: more cached values fall on the other side of a tie,
// on either path.
func TestFusedForwardPass(t *testing.T) {
	tests := []struct{ heads, kv, dim int }{{2, 2, 64}, {14, 2, 64}, {9, 1, 64}, {3, 1, 128}}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d heads of %d to %d", tt.heads, tt.dim, tt.kv), func(t *testing.T) {
			f := tiny(t, "F16", func(s *synth.Spec) {
				s.Embd, s.Heads, s.HeadsKV, s.FF, s.Layers = tt.heads*tt.dim, tt.heads, tt.kv, 64, 2
			})
			tokens := randomTokens(60, f.Hparams.NVocab)
			ref := newReference(t, f, "f16").run(tokens)
			m := load(t, f, qwen2.Options{KV: "f16", Capacity: len(tokens), Path: qwen2.Fused})
			checkSteps(t, m, ref, tokens, []int{37, 1, 1, 19, 1, 1}, qwen2.Fused, 4*boundF16)
		})
	}
}

// TestFusedExtremes: scores beyond what exp takes, scores that are the same,
// queries beyond what f16 holds or all zeros, infinite keys, and what a
// faulty cache may hold besides.
func TestFusedExtremes(t *testing.T) {
	inf := float16.Inf(1)
	tests := []struct {
		name   string
		change func(a *attention)
		finite bool // the answer is
	}{
		{"huge scores", func(a *attention) { scaleBy(a.q, 1e4) }, true},
		{"queries beyond f16", func(a *attention) { scaleBy(a.q, 1e7) }, true},
		{"tiny queries", func(a *attention) { scaleBy(a.q, 1e-30) }, true},
		{"queries of zeros", func(a *attention) { scaleBy(a.q, 0) }, true},
		{"one huge element", func(a *attention) { a.q[5] = 3e4 }, true},
		{"equal keys", func(a *attention) {
			for i := range a.k {
				a.k[i] = a.k[i%(a.G*a.D)]
			}
		}, true},
		{"a key of -Inf scores", func(a *attention) { // element 3 of position 2, against positive queries
			for i := 3; i < len(a.q); i += a.D {
				a.q[i] = 1
			}
			for g := range a.G {
				a.k[(2*a.G+g)*a.D+3] = float16.Inf(-1)
			}
		}, true},
		{"a key of +Inf scores", func(a *attention) {
			for i := range a.q {
				a.q[i] = float32(math.Abs(float64(a.q[i])))
			}
			for g := range a.G {
				a.k[(2*a.G+g)*a.D+3] = inf
			}
		}, false},
		{"a value of Inf", func(a *attention) { a.v[0] = inf }, false},
	}
	b := shuffled(t, 3)
	for _, tt := range tests {
		for _, T := range []int{1, 9} {
			a := newAttention(99, T, 50, 14, 2, 64, 2)
			tt.change(a)
			want, got := a.want(), []float64(nil)
			if T == 1 {
				got = b.decode(a, 2)
			} else {
				got = b.prefill(a)
			}
			if tt.finite {
				// Scores of 10^5 are known to some 2^-24 of that.
				if e := nmse(got, want); !(e <= 1e-4) {
					t.Errorf("%s, %d tokens: NMSE %.3g against float64", tt.name, T, e)
				}
			}
			for i := range want {
				if bad := math.IsNaN(want[i]) || math.IsInf(want[i], 0); bad != (math.IsNaN(got[i]) || math.IsInf(got[i], 0)) {
					t.Errorf("%s, %d tokens: element %d is %g, want %g", tt.name, T, i, got[i], want[i])
					break
				}
			}
		}
	}
}

func scaleBy(x []float32, by float64) {
	for i := range x {
		x[i] *= float32(by)
	}
}

// TestFusedPrefill holds the fused prefill against float64: one token to
// several tiles of tokens, cached positions before them, groups of all sizes.
func TestFusedPrefill(t *testing.T) {
	b := shuffled(t, 2)
	type test struct{ T, C, H, G, D int }
	var tests []test
	for _, D := range []int{64, 128} {
		for T := 1; T <= 17; T++ {
			tests = append(tests, test{T, T, 14, 2, D}, test{T, T + 30, 14, 2, D})
		}
		for _, C := range []int{31, 32, 33, 63, 64, 65, 130} {
			tests = append(tests, test{C, C, 3, 1, D}, test{5, C, 14, 2, D})
		}
		for _, heads := range [][2]int{{1, 1}, {2, 2}, {2, 1}, {8, 1}, {9, 1}, {16, 1}, {24, 2}} {
			tests = append(tests, test{20, 70, heads[0], heads[1], D})
		}
		tests = append(tests, test{2, 1000, 14, 2, D}, test{17, 257, 14, 2, D})
	}
	for i, tt := range tests {
		a := newAttention(uint64(i), tt.T, tt.C, tt.H, tt.G, tt.D, 2)
		if e := nmse(b.prefill(a), a.want()); !(e <= fusedBound) {
			t.Errorf("%+v: NMSE %.3g against float64, want at most %.3g", tt, e, fusedBound)
		}
	}
}
