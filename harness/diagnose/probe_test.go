package diagnose

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// TestProbes plants one mistake at a time and reads the first clue.
func TestProbes(t *testing.T) {
	l := newLab()
	semantics := func(change func(*oracle.Semantics)) func(*exhibit) []float64 {
		return l.done(oracle.Variant{Semantics: func(_ tap.Key, s *oracle.Semantics) { change(s) }})
	}
	along := func(k int, to func(s, n int) int) func(*exhibit) []float64 {
		return each(func(x *exhibit, i int) float64 {
			a := x.axisOf(k)
			s := a.slice(i)
			return x.want[i+(to(s, a.n)-s)*a.inner]
		})
	}
	cases := []struct {
		name  string
		tap   tap.Tap
		wrong func(*exhibit) []float64
		kind  string
		says  string
	}{
		{"scale", tap.KQ, each(func(x *exhibit, i int) float64 { return x.want[i] * math.Sqrt(8) }), "constant-factor", "sqrt(head_dim)"},
		{"sign", tap.QProj, each(func(x *exhibit, i int) float64 { return -x.want[i] }), "constant-factor", "-1 = the sign"},
		{"base 2", tap.AttnOut, each(func(x *exhibit, i int) float64 { return x.want[i] * math.Log2E }), "constant-factor", "log2(e)"},
		{"a factor without a name", tap.AttnOut, each(func(x *exhibit, i int) float64 { return x.want[i] * 1.2345 }), "constant-factor", "1.2345 times"},
		{"a factor per head", tap.QProj, each(func(x *exhibit, i int) float64 { return x.want[i] * float64(1+i/8%4) }), "constant-per-head", "1 to 4"},
		{"a factor per row", tap.AttnNorm, each(func(x *exhibit, i int) float64 { return x.want[i] * (1 + 0.1*float64(x.key.Step*7+i/32)) }), "constant-per-row", "per row"},
		{"weight left out", tap.AttnNorm, semantics(func(s *oracle.Semantics) { s.NormBare = true }), "constant-per-channel", "the weight is not applied"},
		{"bias left out", tap.QBias, semantics(func(s *oracle.Semantics) { s.BiasScale = 0 }), "not-applied", "q_proj"},
		{"bias twice", tap.QBias, semantics(func(s *oracle.Semantics) { s.BiasScale = 2 }), "term-added", "attn_q.bias"},
		{"another layer's bias", tap.KBias, l.done(oracle.Variant{Tensor: func(of tap.Key, _ string) string {
			return layerName("blk.%d.attn_k.bias", of.Layer^1)
		}}), "wrong-bias", "the bias of the layer after"},
		{"v's bias on k", tap.KBias, l.done(oracle.Variant{Tensor: func(of tap.Key, _ string) string {
			return layerName("blk.%d.attn_v.bias", of.Layer)
		}}), "wrong-bias", "attn_v.bias in place of attn_k.bias"},
		{"bias of another channel", tap.QBias, semantics(func(s *oracle.Semantics) { s.BiasIndex = func(j int) int { return j % 16 } }), "wrong-bias", "channel e takes element e mod 16 of the bias"},
		{"bias of the head after", tap.QBias, semantics(func(s *oracle.Semantics) { s.BiasIndex = func(j int) int { return (j + 8) % 32 } }), "wrong-bias", "(e+8) mod 32, one head further"},
		{"bias one behind", tap.QBias, semantics(func(s *oracle.Semantics) { s.BiasIndex = func(j int) int { return max(j-1, 0) } }), "wrong-bias", "element e-1"},
		{"bias reversed", tap.KBias, semantics(func(s *oracle.Semantics) { s.BiasIndex = func(j int) int { return 15 - j } }), "wrong-bias", "element 15-e"},
		{"bias in bf16", tap.VBias, each(func(x *exhibit, i int) float64 {
			b := l.vectors[layerName("blk.%d.attn_v.bias", x.key.Layer)][i%16]
			return x.want[i] - b + formats[2].nearest(b)
		}), "wrong-bias", "the bias, rounded to bf16"},
		{"two layers' biases swapped", tap.VBias, l.done(oracle.Variant{Tensor: func(of tap.Key, _ string) string {
			return layerName("blk.%d.attn_v.bias", 2-of.Layer)
		}}), "wrong-bias", "layer 0 takes layer 2's, layer 2 takes layer 0's"},
		{"norm's weight of the next channel", tap.AttnNorm, each(func(x *exhibit, i int) float64 {
			w := l.vectors[layerName("blk.%d.attn_norm.weight", x.key.Layer)]
			return x.want[i] / w[i%32] * w[(i+1)%32]
		}), "wrong-weight", "channel e takes element e+1, the last one element 0 of the weight"},
		{"norm divided by its weight", tap.AttnNorm, each(func(x *exhibit, i int) float64 {
			w := l.vectors[layerName("blk.%d.attn_norm.weight", x.key.Layer)][i%32]
			return x.want[i] / w / w
		}), "constant-per-channel", "the weight divides"},
		{"two layers' norms swapped", tap.FFNNorm, l.done(oracle.Variant{Tensor: func(of tap.Key, _ string) string {
			return layerName("blk.%d.ffn_norm.weight", 2-of.Layer)
		}}), "wrong-weight", "layer 0 takes layer 2's, layer 2 takes layer 0's"},
		{"residual left out", tap.FFNInp, each(func(x *exhibit, i int) float64 {
			v, _ := l.Float64(tap.At(x.key.Step, x.key.Layer, tap.AttnOut), nil)
			return v[i]
		}), "not-applied", "attn_out"},
		{"residual of the norm", tap.FFNInp, l.done(oracle.Variant{Read: func(of, in tap.Key) tap.Key {
			if in.Tap == tap.AttnOut {
				return in
			}
			return tap.At(of.Step, of.Layer, tap.AttnNorm)
		}}), "wrong-input", "attn_norm"},
		{"beta 1", tap.FFNOut, each(func(x *exhibit, i int) float64 {
			v, _ := l.Float64(tap.At(x.key.Step, x.key.Layer, tap.FFNInp), nil)
			return x.want[i] + v[i]
		}), "term-added", "ffn_inp"},
		{"gate and up swapped", tap.FFNSwiglu, l.done(oracle.Variant{Read: func(_, in tap.Key) tap.Key {
			return tap.At(in.Step, in.Layer, tap.FFNGate+tap.FFNUp-in.Tap)
		}}), "inputs-swapped", "ffn_gate and ffn_up"},
		{"heads reversed", tap.KQV, along(1, func(s, n int) int { return n - 1 - s }), "head-permutation", "head h holds what belongs to head 3-h"},
		{"KV heads swapped", tap.KProj, along(1, func(s, n int) int { return n - 1 - s }), "head-permutation", "KV head g"},
		{"positions rotated", tap.KQ, along(2, func(s, n int) int { return (s + 1) % n }), "position-shift", "position (c+1) mod n"},
		{"dims reversed", tap.VProj, along(2, func(s, n int) int { return n - 1 - s }), "dim-permutation", "dim 7-d"},
		{"one head for all", tap.KQV, along(1, func(int, int) int { return 0 }), "head-permutation", "head 0"},
		{"laid out [T,D,H]", tap.QProj, each(func(x *exhibit, i int) float64 { return x.want[reordered(i, x.shape, []int{0, 2, 1})] }), "transposed", "[token,dim,head]"},
		{"cache laid out [C,D,G]", tap.KCache, each(func(x *exhibit, i int) float64 {
			if i < x.base {
				return x.want[i]
			}
			return x.want[x.base+reordered(i-x.base, []int{x.dims.T, 2, 8}, []int{0, 2, 1})]
		}), "transposed", "[position,dim,head]"},
		{"one element late", tap.AttnOut, each(func(x *exhibit, i int) float64 {
			if i == 0 {
				return 100
			}
			return x.want[i-1]
		}), "element-shift", "+1 elements off"},
		{"heads by modulo", tap.KQ, semantics(func(s *oracle.Semantics) { s.KVHead = func(h, _, g int) int { return h % g } }), "kv-head-map", "KV head h mod 2 instead of h/2"},
		{"values of another layer", tap.KQV, l.done(oracle.Variant{Read: func(_, in tap.Key) tap.Key {
			if in.Tap == tap.VCache {
				in.Layer = 1
			}
			return in
		}}), "wrong-input", "v_cache of layer 1"},
		{"the middle of a step not turned", tap.QRope, semantics(func(s *oracle.Semantics) {
			s.Position = func(past, t, n int) int {
				if t > 0 && t < n-1 {
					return 0
				}
				return past + t
			}
		}), "rope-position-map", "positions 0-4 turn as position 0"},
		{"positions in a ring", tap.KRope, semantics(func(s *oracle.Semantics) {
			s.Position = func(past, t, _ int) int { return (past + t) % 3 }
		}), "rope-position-map", "position p turns as position p mod 3"},
		{"keys not rotated", tap.KCache, l.done(oracle.Variant{Read: func(_, in tap.Key) tap.Key {
			if in.Tap == tap.KRope {
				in.Tap = tap.KBias
			}
			return in
		}}), "wrong-input", "k_bias where k_rope is meant"},
		{"norm of another op", tap.FFNNorm, l.done(oracle.Variant{Tensor: func(of tap.Key, _ string) string {
			return layerName("blk.%d.attn_norm.weight", of.Layer)
		}}), "wrong-weight", "attn_norm"},
		{"stored in f16", tap.AttnOut, each(func(x *exhibit, i int) float64 { return f16Type.nearest(x.want[i]) }), "narrow-storage-f16", "rounded to f16"},
		{"cut off to bf16", tap.AttnOut, each(func(x *exhibit, i int) float64 { return formats[2].truncated(x.want[i]) }), "truncated-bf16", "toward zero"},
		{"queries in bf16", tap.KQ, l.done(oracle.Variant{Feed: func(_, in tap.Key, y oracle.Rows, _ tap.Dims) oracle.Rows {
			if in.Tap == tap.QRope {
				for i := range y.V {
					y.V[i] = formats[2].nearest(y.V[i])
				}
			}
			return y
		}}), "narrow-input-bf16", "q_rope rounded to bf16"},
		{"no scale", tap.KQSoftMax, semantics(func(s *oracle.Semantics) { s.ScoreScale = 1 }), "score-scale", "scale is 1"},
		{"no mask", tap.KQSoftMax, semantics(func(s *oracle.Semantics) { s.Visible = func(int, int, int) bool { return true } }), "mask-missing", "all positions"},
		{"mask two ahead", tap.KQSoftMax, semantics(func(s *oracle.Semantics) {
			s.Visible = func(past, t, c int) bool { return c <= past+t+2 }
		}), "mask-shifted", "2 positions beyond its own"},
		{"overflow", tap.FFNUp, each(func(x *exhibit, i int) float64 {
			if math.Abs(x.want[i]) > 1 {
				return math.Inf(1)
			}
			return x.want[i]
		}), "overflow", "exceeds 1 (2^0) in size, where ours is Inf"},
		{"never written", tap.FFNUp, each(func(x *exhibit, i int) float64 {
			if i%40 >= 32 {
				return unwrittenBits
			}
			return x.want[i]
		}), "unwritten", "NaN in all 128 wrong elements"},
		{"negatives lost", tap.KQ, each(func(x *exhibit, i int) float64 { return math.Max(x.want[i], 0) }), "negatives-are-zero", "wherever the oracle is negative"},
		{"zeros", tap.KQV, each(func(x *exhibit, i int) float64 {
			if i/8%4 == 3 {
				return 0
			}
			return x.want[i]
		}), "zeros", "in all"},
		{"bias on the first token only", tap.QBias, each(func(x *exhibit, i int) float64 {
			if i < 32 {
				return x.want[i]
			}
			v, _ := l.Float64(tap.At(x.key.Step, x.key.Layer, tap.QProj), nil)
			return v[i]
		}), "not-applied-in-part", "q_proj in all 320 wrong elements, first at [1 0 0]"},
		{"in one head", tap.QProj, each(func(x *exhibit, i int) float64 { return noisy(x, i, i/8%4 == 2) }), "only-some", "only head 2 of 4"},
		{"in the tail", tap.FFNUp, each(func(x *exhibit, i int) float64 { return noisy(x, i, i%40 >= 32) }), "block-tail", "last 8 of 40 channels, beyond the last whole block of 32"},
		{"in even heads", tap.QProj, each(func(x *exhibit, i int) float64 { return noisy(x, i, i/8%2 == 0) }), "only-some", "only the even heads"},
		{"in a checkerboard", tap.FFNUp, each(func(x *exhibit, i int) float64 { return noisy(x, i, (i/40+i%40)%2 == 1) }), "tile", "token + channel is odd"},
		{"in a tile", tap.FFNUp, each(func(x *exhibit, i int) float64 { return noisy(x, i, i/40 >= 2 && i/40 < 5 && i%40 >= 8 && i%40 < 24) }), "only-some", "tokens 2-4"},
		{"on the diagonal", tap.KQ, each(func(x *exhibit, i int) float64 { return noisy(x, i, x.dims.P+i/x.width()%x.dims.T == i%x.width()) }), "tile", "looks at itself"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l.held = map[tap.Key][]float64{}
			p := l.probe(c.tap, c.wrong)
			if len(p.exhibits) == 0 {
				t.Fatal("nothing was planted")
			}
			clues := pick(p.clues())
			if len(clues) == 0 {
				t.Fatal("no clue")
			}
			if clues[0].Kind != c.kind || !strings.Contains(clues[0].Text, c.says) {
				t.Errorf("first clue is %s: %q; want %s: ...%q...", clues[0].Kind, clues[0].Text, c.kind, c.says)
			}
		})
	}
}

// noisy is an element off at random where it is to be wrong.
func noisy(x *exhibit, i int, wrong bool) float64 {
	if !wrong {
		return x.want[i]
	}
	r := rand.New(rand.NewPCG(uint64(i), uint64(x.key.Step)))
	return x.want[i] + 0.1*r.NormFloat64() + 0.01
}

// TestProbesClaimNothing gives the probes errors that no clue accounts for.
func TestProbesClaimNothing(t *testing.T) {
	l := newLab()
	random := each(func(x *exhibit, i int) float64 { return noisy(x, i, true) })
	for _, tp := range tap.All() {
		if tp == tap.InpEmbd {
			continue // needs a table of embeddings
		}
		l.held = map[tap.Key][]float64{}
		for _, c := range l.probe(tp, random).clues() {
			t.Errorf("%s: random errors are called %s: %q", tp, c.Kind, c.Text)
		}
	}
	// Rows that are all alike fit any shift: nothing moved that one could tell.
	flat := l.probe(tap.AttnOut, each(func(x *exhibit, i int) float64 { return x.want[i] }))
	for _, k := range []int{0, 1} {
		x := constantExhibit(tap.At(0, 0, tap.AttnOut), l.Dims(0))
		if m := x.match(k); m != nil {
			t.Errorf("axis %d of a constant tensor is permuted: %v", k, m)
		}
	}
	if got := flat.clues(); len(got) > 0 {
		t.Errorf("a right recording has clues: %v", got)
	}
}

// constantExhibit is a tensor of ones that ours has as ones and a few twos.
func constantExhibit(k tap.Key, d tap.Dims) *exhibit {
	shape := k.Tap.Shape(d)
	v := oracle.Value{Shape: shape, Data: make([]float64, tap.Elements(shape)), Noise: make([]float64, tap.Elements(shape))}
	got := make([]float64, len(v.Data))
	for i := range v.Data {
		v.Data[i], got[i] = 1, 1
	}
	got[3], got[40] = 2, 2
	return newExhibit(recording{key: k, got: got, dtype: trace.F32}, v, d)
}

// TestPick checks that what explains everything leaves no place to be named.
func TestPick(t *testing.T) {
	clue := func(kind string, g Grade, axis string, names bool) Clue {
		return Clue{Kind: kind, Grade: g, axis: axis, Names: names, Text: kind, Residual: 1e-14}
	}
	cases := []struct {
		all  []Clue
		want string
	}{
		{nil, ""},
		{[]Clue{clue("where", Where, "head", false), clue("whole", Whole, "", true)}, "whole"},
		{[]Clue{clue("described", Whole, "", false), clue("named", Whole, "", true), clue("when", When, "", false)}, "named when"},
		{[]Clue{clue("where", Where, "head", false), clue("part", Part, "head", true)}, "part"},
		{[]Clue{clue("where", Where, "token", false), clue("part", Part, "head", true)}, "part where"},
	}
	for _, c := range cases {
		var got []string
		for _, x := range pick(c.all) {
			got = append(got, x.Kind)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("pick(%v) = %q, want %q", c.all, s, c.want)
		}
	}
}
