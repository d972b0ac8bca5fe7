package diagnose

import (
	"math"
	"slices"
	"strings"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// TestCatalogue writes mistakes out by hand, from an op's inputs, and asks which
// hypotheses reproduce them in every step and layer: the one that is meant and,
// where the run tells them apart, no other.
func TestCatalogue(t *testing.T) {
	l := newLab()
	read := func(x *exhibit, t tap.Tap) []float64 {
		v, _ := l.Float64(tap.At(x.key.Step, x.key.Layer, t), nil)
		return v
	}
	right := oracle.Default(l.hp)
	// rotated is an op's input, turned pair by pair: element i of the row with dim
	// i+n/2 of a head of n.
	rotated := func(n int, turn func(a, b float64, position, i int) (float64, float64)) func(*exhibit) []float64 {
		return func(x *exhibit) []float64 {
			in := read(x, x.key.Tap-1)
			out := slices.Clone(in)
			row := len(in) / x.dims.T
			for at := 0; at < len(in); at += n {
				for i := range n / 2 {
					out[at+i], out[at+i+n/2] = turn(in[at+i], in[at+i+n/2], x.dims.P+at/row, i)
				}
			}
			return out
		}
	}
	plain := func(a, b, theta float64) (float64, float64) {
		s, c := math.Sincos(theta)
		return a*c - b*s, a*s + b*c
	}
	// softMax is a softmax written out: z is the score of a column, and padding is
	// what columns beyond the last add to the sum relative to the maximum.
	softMax := func(z func(x *exhibit, h, t, c int, kq float64) float64, padding func(x *exhibit, peak float64) float64) func(*exhibit) []float64 {
		return func(x *exhibit) []float64 {
			kq, cells := read(x, tap.KQ), x.width()
			out := make([]float64, len(kq))
			for r := 0; r < len(kq)/cells; r++ {
				h, tok := r/x.dims.T, r%x.dims.T
				peak, sum := math.Inf(-1), 0.0
				for c := range cells {
					peak = math.Max(peak, z(x, h, tok, c, kq[r*cells+c]))
				}
				for c := range cells {
					out[r*cells+c] = math.Exp(z(x, h, tok, c, kq[r*cells+c]) - peak)
					sum += out[r*cells+c]
				}
				if padding != nil {
					sum += padding(x, peak)
				}
				for c := range cells {
					out[r*cells+c] /= sum
				}
			}
			return out
		}
	}
	// normed divides each row of the stream by what is made of it and the weight.
	normed := func(divisor func(x, w []float64) float64) func(*exhibit) []float64 {
		return func(x *exhibit) []float64 {
			in := tap.At(x.key.Step, x.key.Layer, tap.FFNInp)
			if x.key.Tap == tap.AttnNorm {
				in = stream(x.key.Step, x.key.Layer)
			}
			rows, _ := l.Float64(in, nil)
			w := l.vectors[layerName(tensorOf[x.key.Tap], x.key.Layer)]
			out := slices.Clone(rows)
			for lo := 0; lo < len(rows); lo += 32 {
				by := divisor(rows[lo:lo+32], w)
				for e := range 32 {
					out[lo+e] *= w[e] / by
				}
			}
			return out
		}
	}
	seen := func(x *exhibit, t, c int) bool { return c <= x.dims.P+t }
	causal := func(f func(x *exhibit, h, t, c int, z float64) float64) func(*exhibit, int, int, int, float64) float64 {
		return func(x *exhibit, h, t, c int, kq float64) float64 {
			if !seen(x, t, c) {
				return math.Inf(-1)
			}
			return f(x, h, t, c, kq*right.ScoreScale)
		}
	}
	asIs := func(_ *exhibit, _, _, _ int, z float64) float64 { return z }
	gate := func(f func(g float64) float64) func(*exhibit) []float64 {
		return each(func(x *exhibit, i int) float64 { return f(read(x, tap.FFNGate)[i]) * read(x, tap.FFNUp)[i] })
	}
	tests := []struct {
		id    string
		tap   tap.Tap
		wrong func(*exhibit) []float64
	}{
		{"rope-second-cosine-sign", tap.QRope, rotated(8, func(a, b float64, p, i int) (float64, float64) {
			s, c := math.Sincos(right.Theta(p, 0, i))
			return a*c - b*s, a*s - b*c
		})},
		{"rope-sine-only", tap.KRope, rotated(8, func(a, b float64, p, i int) (float64, float64) {
			s := math.Sin(right.Theta(p, 0, i))
			return -b * s, a * s
		})},
		{"rope-heads-of-4", tap.QRope, rotated(4, func(a, b float64, p, i int) (float64, float64) {
			return plain(a, b, float64(p)*math.Pow(right.RopeBase, -2*float64(i)/4))
		})},
		{"rope-heads-of-16", tap.KRope, rotated(16, func(a, b float64, p, i int) (float64, float64) {
			return plain(a, b, float64(p)*math.Pow(right.RopeBase, -2*float64(i)/16))
		})},
		{"norm-weight-in-sum", tap.AttnNorm, normed(func(x, w []float64) float64 {
			sum := 0.0
			for e, v := range x {
				sum += v * w[e] * v * w[e]
			}
			return math.Sqrt(sum/32 + 1e-6)
		})},
		{"norm-factor-in-bf16", tap.FFNNorm, normed(func(x, _ []float64) float64 {
			sum := 0.0
			for _, v := range x {
				sum += v * v
			}
			return 1 / formats[2].nearest(1/math.Sqrt(sum/32+1e-6))
		})},
		{"residual-of-first-token", tap.FFNInp, func(x *exhibit) []float64 {
			branch, skip := read(x, tap.AttnOut), x.want
			out := make([]float64, len(branch))
			for i := range out {
				out[i] = branch[i] + skip[i%32] - branch[i%32]
			}
			return out
		}},
		{"gqa-groups-one-head-longer", tap.KQ, func(x *exhibit) []float64 {
			q, k, cells := read(x, tap.QRope), read(x, tap.KCache), x.width()
			out := make([]float64, len(x.want))
			for i := range out {
				h, tok, c := i/cells/x.dims.T, i/cells%x.dims.T, i%cells
				for d := range 8 {
					out[i] += q[(tok*4+h)*8+d] * k[(c*2+h/3)*8+d]
				}
			}
			return out
		}},
		{"bias-multiplied", tap.QBias, each(func(x *exhibit, i int) float64 {
			return read(x, tap.QProj)[i] * l.vectors[layerName("blk.%d.attn_q.bias", x.key.Layer)][i%32]
		})},
		{"bias-on-q-proj", tap.VBias, each(func(x *exhibit, i int) float64 {
			return read(x, tap.QProj)[i] + l.vectors[layerName("blk.%d.attn_v.bias", x.key.Layer)][i%16]
		})},
		{"cache-clamped-at-1", tap.KCache, each(func(x *exhibit, i int) float64 {
			if i < x.base {
				return x.want[i]
			}
			return math.Max(-1, math.Min(1, x.want[i]))
		})},
		{"cache-fixed-point-of-1/16", tap.VCache, each(func(x *exhibit, i int) float64 {
			if i < x.base {
				return x.want[i]
			}
			return math.Round(x.want[i]*16) / 16
		})},
		{"scores-masked-early-with--1e+09", tap.KQ, each(func(x *exhibit, i int) float64 {
			if !seen(x, i/x.width()%x.dims.T, i%x.width()) {
				return -1e9
			}
			return x.want[i]
		})},
		{"scores-capped-at-50", tap.KQSoftMax, softMax(causal(func(_ *exhibit, _, _, _ int, z float64) float64 { return 50 * math.Tanh(z/50) }), nil)},
		{"scores-with-alibi", tap.KQSoftMax, softMax(causal(func(x *exhibit, h, t, c int, z float64) float64 {
			return z - math.Pow(2, -8*float64(h+1)/4)*float64(x.dims.P+t-c)
		}), nil)},
		{"scale-over-sqrt-positions", tap.KQSoftMax, softMax(causal(func(x *exhibit, _, _, _ int, z float64) float64 {
			return z / right.ScoreScale / math.Sqrt(float64(x.width()))
		}), nil)},
		{"masked-scores-10-lower", tap.KQSoftMax, softMax(func(x *exhibit, _, t, c int, kq float64) float64 {
			if seen(x, t, c) {
				return kq * right.ScoreScale
			}
			return kq*right.ScoreScale - 10
		}, nil)},
		{"masked-scores-are--1", tap.KQSoftMax, softMax(func(x *exhibit, _, t, c int, kq float64) float64 {
			if seen(x, t, c) {
				return kq * right.ScoreScale
			}
			return -1
		}, nil)},
		{"softmax-with-sink", tap.KQSoftMax, softMax(causal(asIs), func(_ *exhibit, peak float64) float64 { return math.Exp(-peak) })},
		{"padding-of-32-counts-as-zeros", tap.KQSoftMax, softMax(causal(asIs), func(x *exhibit, peak float64) float64 { return float64(32-x.width()) * math.Exp(-peak) })},
		{"softmax-divided-by-positions", tap.KQSoftMax, each(func(x *exhibit, i int) float64 {
			lo := i / x.width() * x.width()
			return x.want[i] / slices.Max(x.want[lo:lo+x.width()]) / float64(x.width())
		})},
		{"softmax-normalised-twice", tap.KQSoftMax, each(func(x *exhibit, i int) float64 {
			lo := i / x.width() * x.width()
			return x.want[i] * slices.Max(x.want[lo:lo+x.width()])
		})},
		{"padding-of-64-repeats-last", tap.KQSoftMax, func(x *exhibit) []float64 {
			out, cells := slices.Clone(x.want), x.width()
			for lo := 0; lo < len(out); lo += cells {
				last, n := out[lo+cells-1], float64(64-cells)
				for c := range cells {
					out[lo+c] /= 1 + n*last
				}
				out[lo+cells-1] *= 1 + n
			}
			return out
		}},
		{"softplus-for-silu", tap.FFNSwiglu, gate(func(g float64) float64 { return math.Log(1 + math.Exp(g)) })},
		{"mish-for-silu", tap.FFNSwiglu, gate(func(g float64) float64 { return g * math.Tanh(math.Log(1+math.Exp(g))) })},
		{"leaky-relu-for-silu", tap.FFNSwiglu, gate(func(g float64) float64 {
			if g < 0 {
				return g / 100
			}
			return g
		})},
		{"silu-clamped-at-1", tap.FFNSwiglu, gate(func(g float64) float64 { return oracle.SiLU(math.Min(g, 1)) })},
	}
	m := Model{Dims: l.hp.Dims(), Layers: l.hp.NLayer, KVType: "f32", Right: right, Steps: l.steps, Vector: func(name string) []float64 { return l.vectors[name] }}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			l.held = map[tap.Key][]float64{}
			p := l.probe(tt.tap, tt.wrong)
			if len(p.exhibits) == 0 {
				t.Fatal("nothing was planted")
			}
			var found []string
			for _, h := range Catalogue(tt.tap, m) {
				if _, ok := p.holds(func(x *exhibit) *claim { return p.recompute(h.Variant, x) }); ok {
					found = append(found, h.ID)
				}
			}
			if !slices.Equal(found, []string{tt.id}) {
				t.Errorf("reproduced by %q, want %s alone", found, tt.id)
			}
		})
	}
}

// Two layers that read each other's tensor are told, whatever the op.
func TestLayerMap(t *testing.T) {
	l := newLab()
	own := tensorOf[tap.AttnNorm]
	p := l.probe(tap.AttnNorm, l.done(oracle.Variant{Tensor: func(of tap.Key, _ string) string { return layerName(own, 2-of.Layer) }}))
	clues := p.layerMap(own, 100)
	if want := "layer 0 uses the weight of layer 2, layer 2 uses the weight of layer 0"; len(clues) != 1 || !strings.Contains(clues[0].Title, want) {
		t.Errorf("clues %+v, want %q", clues, want)
	}
	if clues := p.layerMap(own, 1); clues != nil {
		t.Errorf("clues %+v beyond the budget of one try", clues)
	}
}

// Where ours writes a step's bias in the prefill only, the mistake is named that
// says what ours holds, not one that says nothing was written.
func TestBold(t *testing.T) {
	says := &candidate{parts: []*Hypothesis{{ID: "says"}}, outcome: outcome{within: true, rounding: true, claims: 100}}
	hedges := &candidate{parts: []*Hypothesis{{ID: "hedges", Leaves: true}}, outcome: outcome{within: true, rounding: true, claims: 60, open: 40}}
	fitted := &candidate{parts: []*Hypothesis{{ID: "fitted", Fitted: true}}, outcome: outcome{within: true, rounding: true, claims: 100}}
	if got := bold([]*candidate{hedges, fitted, says}); len(got) != 1 || got[0] != says {
		t.Errorf("%d candidates are left, want the one that says all values and chooses none", len(got))
	}
	if got := bold([]*candidate{hedges}); len(got) != 1 {
		t.Error("a candidate that hedges has no rival and is left out all the same")
	}
	for _, tt := range []struct {
		c    candidate
		must bool
	}{
		{candidate{parts: hedges.parts, outcome: outcome{claims: 60, open: 40}}, false},
		{candidate{parts: hedges.parts, outcome: outcome{claims: 40, open: 60}}, true},
		{candidate{parts: append(says.parts, hedges.parts...), outcome: outcome{claims: 99, open: 1}}, true},
		{candidate{parts: says.parts, outcome: outcome{claims: 99, open: 1}}, false},
		{candidate{parts: says.parts, outcome: outcome{claims: 0, open: 100}}, true},
	} {
		if got := tt.c.mustShow(); got != tt.must {
			t.Errorf("%s with %d claims and %d open: mustShow %v", tt.c.id(), tt.c.claims, tt.c.open, got)
		}
	}
}

// What does not reproduce ours is likely only when it explains nearly all of it
// and is no copy of something else.
func TestNear(t *testing.T) {
	for _, tt := range []struct {
		aspect   string
		residual float64
		within   bool
		want     bool
	}{
		{"scale", 1e-4, false, true},
		{"scale", 1.5, false, false},
		{whole, 1e-4, false, false},
		{whole, 0, true, true},
	} {
		c := &candidate{parts: []*Hypothesis{{Aspect: tt.aspect}}, outcome: outcome{residual: tt.residual, within: tt.within}}
		if got := c.near(); got != tt.want {
			t.Errorf("%s with residual %g, within %v: near %v", tt.aspect, tt.residual, tt.within, got)
		}
	}
}

// The pairs of what comes nearest are tried however rare their parts are.
func TestLeading(t *testing.T) {
	var singles []*candidate
	for i, residual := range []float64{0.9, 0.8, 0.1, 0.7, 0.6, 0.5, math.Inf(1)} {
		singles = append(singles, &candidate{parts: []*Hypothesis{{ID: string(rune('a' + i)), Aspect: string(rune('a' + i))}}, outcome: outcome{residual: residual}})
	}
	tried := combine(singles, singles, 1)
	led := leading(singles, tried, 6)
	if len(led) != 6 {
		t.Fatalf("%d pairs, want 6", len(led))
	}
	for _, c := range led {
		if !strings.Contains(c.id(), "c") || c.id() == tried[0].id() {
			t.Errorf("pair %s, want one of c that was not tried", c.id())
		}
	}
}

// An allowance that covers the op done right covers mistakes that do nothing.
func TestStandsOut(t *testing.T) {
	for _, tt := range []struct {
		residual, right float64
		claims          int
		want            bool
	}{
		{5e-8, 5e-8, 100, false}, {1e-9, 5e-8, 100, true}, {0, 5e-8, 100, true}, {0, 0.5, 0, true}, {1e-9, math.NaN(), 100, true},
	} {
		c := &candidate{outcome: outcome{residual: tt.residual, claims: tt.claims}}
		if got := c.standsOut(outcome{residual: tt.right}); got != tt.want {
			t.Errorf("residual %g beside %g: %v", tt.residual, tt.right, got)
		}
	}
}

// A row of zeros is met by zeros also where the allowance has no end: nothing
// finite says how far off the op may be.
func TestCompareZeros(t *testing.T) {
	zeros := oracle.Value{Shape: []int{2, 2}, Data: []float64{0, 0, math.Inf(1), 3}, Noise: make([]float64, 4)}
	r := recording{key: tap.At(0, 0, tap.KQSoftMax), got: zeros.Data, dtype: trace.F32, allowance: math.Inf(1), right: zeros}
	if c, ok := compare(r, zeros); !ok || !c.within {
		t.Errorf("ok %v, within %v", ok, c.within)
	}
}
