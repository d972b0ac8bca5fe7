package diagnose

import (
	"math"
	"slices"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

func TestSpell(t *testing.T) {
	fill := func(n int, at func(i int) int) []int {
		m := make([]int, n)
		for i := range m {
			m[i] = at(i)
		}
		return m
	}
	cases := []struct {
		maps [][]int
		want string
	}{
		{[][]int{fill(14, func(i int) int { return 13 - i })}, "head h reads head 13-h"},
		{[][]int{fill(14, func(i int) int { return i % 2 })}, "head h reads head h mod 2"},
		{[][]int{fill(14, func(i int) int { return i / 2 })}, "head h reads head h/2"},
		{[][]int{fill(14, func(i int) int { return (i + 5) % 14 })}, "head h reads head (h+5) mod 14"},
		{[][]int{fill(14, func(i int) int { return i%2*7 + i/2 })}, "head h reads head (h mod 2)*7 + h/2"},
		{[][]int{{unknown, 0, 1, 2}}, "head h reads head h-1"},
		{[][]int{{0, 2, 1, 3, 4, 5}}, "head 1 reads head 2, head 2 reads head 1"},
		{[][]int{{3, 4, 5, 0, 1, 2, 6, 7}}, "heads 0-2 read heads 3-5, heads 3-5 read heads 0-2"},
		{[][]int{{0, 1, 3, unknown}, {0, 1, 2, 4, unknown}}, "head n-2 reads head n-1"},
		{[][]int{{1, 0, 2, 3}, {0, 1, 3, 2}}, ""},
		{[][]int{{5, 2, 9, 0, 7, 11, 1, 13, 3, 10, 4, 12, 6, 8}}, ""},
	}
	for _, c := range cases {
		if got := spell(c.maps, "head", "h", readsFrom, "head"); got != c.want {
			t.Errorf("spell(%v) = %q, want %q", c.maps, got, c.want)
		}
	}
}

func TestConstantName(t *testing.T) {
	p := &probe{dims: tap.Dims{E: 896, H: 14, G: 2, D: 64}, layers: 24}
	for c, want := range map[float64]string{
		8: "sqrt(head_dim)", 0.125: "1/sqrt(head_dim)", 1.0 / 64: "1/head_dim", -1: "the sign is turned",
		2: "twice: added or applied two times", 0.5: "half", 7: "query heads per KV head",
		math.Log2E: "log2(e): base 2 for base e", math.Sqrt(896): "sqrt(n_embd)", 32768: "2^15",
		math.Sqrt(256.0 / 896): "sqrt(256/896): a mean over 256 threads for one over n_embd", 1.234: "", 1: "", 0: "",
	} {
		if got := p.constantName(c); got != want {
			t.Errorf("constantName(%v) = %q, want %q", c, got, want)
		}
	}
}

// TestFormats checks rounding against the tables of the types.
func TestFormats(t *testing.T) {
	bf16, e4m3 := formats[2], formats[1]
	cases := []struct {
		f                 format
		y, nearest, trunc float64
	}{
		{f16Type, 1 + 1.0/2048, 1, 1},
		{f16Type, 1 + 3.0/2048, 1 + 2.0/1024, 1 + 1.0/1024},
		{f16Type, 65519, 65504, 65504},
		{f16Type, 65520, math.Inf(1), 65504},
		{f16Type, -1e9, math.Inf(-1), math.Inf(-1)},
		{f16Type, 3e-8, 5.960464477539063e-08, 0},
		{bf16, 1 + 1.0/256, 1, 1},
		{bf16, -(1 + 1.9/128), -(1 + 2.0/128), -(1 + 1.0/128)},
		{e4m3, 27, 28, 26},
		{e4m3, 500, math.Inf(1), math.Inf(1)},
	}
	for _, c := range cases {
		if got := c.f.nearest(c.y); got != c.nearest {
			t.Errorf("%s: nearest(%v) = %v, want %v", c.f.name, c.y, got, c.nearest)
		}
		if got := c.f.truncated(c.y); got != c.trunc {
			t.Errorf("%s: truncated(%v) = %v, want %v", c.f.name, c.y, got, c.trunc)
		}
	}
}

// TestPhases checks the wording of which recordings are wrong.
func TestPhases(t *testing.T) {
	run := func(is func(step, layer int) verdict.Status) *probe {
		p := &probe{tap: tap.QRope, layers: 4, steps: []int{30, 1, 1, 1}}
		for s, n := range p.steps {
			for l := range p.layers {
				p.judged = append(p.judged, verdict.Tap{Key: tap.At(s, l, tap.QRope), Shape: []int{n, 4, 8}, Status: is(s, l)})
			}
		}
		return p
	}
	wrongIf := func(wrong bool) verdict.Status {
		if wrong {
			return verdict.Introduced
		}
		return verdict.OK
	}
	cases := []struct {
		name string
		is   func(s, l int) verdict.Status
		want []string
	}{
		{"always", func(s, l int) verdict.Status { return wrongIf(true) }, nil},
		{"prefill", func(s, l int) verdict.Status { return wrongIf(s == 0) }, []string{"wrong only in steps of several tokens (prefill), right in decode"}},
		{"decode", func(s, l int) verdict.Status { return wrongIf(s > 0) }, []string{"right in prefill and wrong in decode"}},
		{"long", func(s, l int) verdict.Status { return wrongIf(s == 3) }, []string{"right up to 32 positions, wrong from 33 on: it shows beyond 32"}},
		{"layers", func(s, l int) verdict.Status { return wrongIf(l > 1) }, []string{"wrong only from layer 2 on"}},
		{"one layer in decode", func(s, l int) verdict.Status { return wrongIf(l == 1 && s > 0) }, []string{"wrong only in layer 1", "right in prefill and wrong in decode"}},
		{"second layers", func(s, l int) verdict.Status { return wrongIf(l%2 == 1) }, []string{"wrong only in every second layer, from 1"}},
		{"unjudged", func(s, l int) verdict.Status {
			if l == 0 {
				return verdict.Introduced
			}
			return verdict.NoOracle
		}, nil},
	}
	for _, c := range cases {
		var got []string
		for _, clue := range phases(run(c.is)) {
			got = append(got, clue.Text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// FuzzProbes gives the probes any shape and any values: none may panic, and
// what they say must be words.
func FuzzProbes(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint8(tap.KQ), uint8(3), uint8(2), uint8(4), uint64(1))
	f.Add([]byte{0, 255, 7, 9}, uint8(tap.KCache), uint8(1), uint8(1), uint8(1), uint64(2))
	f.Add([]byte{}, uint8(tap.FFNUp), uint8(5), uint8(0), uint8(0), uint64(3))
	odd := []float64{0, math.NaN(), math.Inf(1), math.Inf(-1), unwrittenBits, 1e300, 1e-300, -1, 65505}
	f.Fuzz(func(t *testing.T, edits []byte, which, tokens, heads, dim uint8, seed uint64) {
		l := newLab()
		l.seed = seed
		h := int(heads%4) + 1
		l.hp.NHeadKV, l.hp.NHead, l.hp.HeadDim = h, 2*h, 2*(int(dim%5)+1)
		l.hp.NEmbd, l.hp.NFF, l.hp.NVocab, l.hp.NLayer = l.hp.NHead*l.hp.HeadDim, int(dim)+1, int(tokens)+1, int(seed%3)+1
		l.steps = []int{int(tokens%40) + 1, 1}
		l.vectors = map[string][]float64{}
		at := 0
		p := l.probe(tap.Tap(which)%tap.Count, each(func(x *exhibit, i int) float64 {
			if len(edits) == 0 {
				return x.want[i]
			}
			e := edits[at%len(edits)]
			at++
			switch {
			case e < 100:
				return x.want[i]
			case e < 200:
				return x.want[int(e)%len(x.want)]
			}
			return odd[int(e)%len(odd)]
		}))
		for _, c := range pick(p.clues()) {
			if c.Text == "" || c.Kind == "" || c.Grade == Whole && c.Title == "" {
				t.Errorf("a clue without words: %+v", c)
			}
		}
	})
}

// TestFitRejects checks what a claim must not be accepted on.
func TestFitRejects(t *testing.T) {
	shape := []int{4, 8}
	want := oracle.Value{Shape: shape, Data: make([]float64, 32), Noise: make([]float64, 32)}
	got := make([]float64, 32)
	for i := range got {
		want.Data[i], got[i] = float64(i+1), float64(2*i+2)
	}
	x := newExhibit(recording{key: tap.At(0, 0, tap.AttnOut), got: got, dtype: trace.F32}, want, tap.Dims{T: 4, E: 8})
	whole := *x.times(func(int) float64 { return 2 })
	if !x.fit(whole).within {
		t.Error("twice the oracle does not fit ours, which is that")
	}
	edit := func(f func(c claim)) claim {
		c := claim{slices.Clone(whole.v), slices.Clone(whole.noise)}
		f(c)
		return c
	}
	for name, c := range map[string]claim{
		"one element off": edit(func(c claim) { c.v[5] *= 1.001 }),
		"an infinity":     edit(func(c claim) { c.v[5] = math.Inf(1); c.noise[5] = math.Inf(1) }),
		"half unclaimed": edit(func(c claim) {
			for i := range 17 {
				c.v[i] = math.NaN()
			}
		}),
		"the oracle itself": {x.want, x.noise},
		"another length":    {x.want[:8], x.noise[:8]},
	} {
		if x.fit(c).within {
			t.Errorf("%s: the claim fits", name)
		}
	}
}
