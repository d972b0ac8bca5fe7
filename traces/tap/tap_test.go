package tap

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestVocabulary repeats the contract's table, names and shapes, so that
// neither changes by accident. The sizes are distinct, so that no letter can
// stand in for another.
func TestVocabulary(t *testing.T) {
	d := Dims{T: 3, P: 4, E: 5, H: 6, G: 2, D: 8, F: 9, V: 10}
	const perLayer, perStep = true, false
	for i, c := range []struct {
		name     string
		perLayer bool
		shape    []int
	}{
		{"inp_embd", perStep, []int{3, 5}},
		{"attn_norm", perLayer, []int{3, 5}},
		{"q_proj", perLayer, []int{3, 6, 8}},
		{"q_bias", perLayer, []int{3, 6, 8}},
		{"q_rope", perLayer, []int{3, 6, 8}},
		{"k_proj", perLayer, []int{3, 2, 8}},
		{"k_bias", perLayer, []int{3, 2, 8}},
		{"k_rope", perLayer, []int{3, 2, 8}},
		{"v_proj", perLayer, []int{3, 2, 8}},
		{"v_bias", perLayer, []int{3, 2, 8}},
		{"k_cache", perLayer, []int{7, 2, 8}},
		{"v_cache", perLayer, []int{7, 2, 8}},
		{"kq", perLayer, []int{6, 3, 7}},
		{"kq_soft_max", perLayer, []int{6, 3, 7}},
		{"kqv", perLayer, []int{3, 6, 8}},
		{"attn_out", perLayer, []int{3, 5}},
		{"ffn_inp", perLayer, []int{3, 5}},
		{"ffn_norm", perLayer, []int{3, 5}},
		{"ffn_gate", perLayer, []int{3, 9}},
		{"ffn_up", perLayer, []int{3, 9}},
		{"ffn_swiglu", perLayer, []int{3, 9}},
		{"ffn_out", perLayer, []int{3, 5}},
		{"l_out", perLayer, []int{3, 5}},
		{"result_norm", perStep, []int{3, 5}},
		{"result_output", perStep, []int{3, 10}},
	} {
		got := Tap(i)
		if got.String() != c.name || got.PerLayer() != c.perLayer || !cmp.Equal(got.Shape(d), c.shape) {
			t.Errorf("tap %d is %s, per layer %v, shape %v; want %+v", i, got, got.PerLayer(), got.Shape(d), c)
		}
		if m := got.Meaning(); m == "" || got > 0 && m == Tap(i-1).Meaning() {
			t.Errorf("%s means %q", got, m)
		}
		if len(got.Axes()) != len(c.shape) {
			t.Errorf("%s has axes %v and shape %v", got, got.Axes(), c.shape)
		}
		if again, err := Parse(c.name); err != nil || again != got {
			t.Errorf("Parse(%s) = %v, %v", c.name, again, err)
		}
	}
	if len(All()) != 25 || !slices.IsSorted(All()) {
		t.Errorf("All() = %v", All())
	}
}

// TestAxesFitSizes checks that an axis named alike has the same size in every
// tap, whatever order the axes come in.
func TestAxesFitSizes(t *testing.T) {
	d := Dims{T: 3, P: 4, E: 5, H: 6, G: 2, D: 8, F: 9, V: 10}
	for _, tap := range All() {
		for i, axis := range tap.Axes() {
			size := tap.Shape(d)[i]
			want := map[string][]int{"token": {d.T}, "position": {d.C()}, "head": {d.H, d.G}, "dim": {d.D}, "channel": {d.E, d.F, d.V}}[axis]
			if !slices.Contains(want, size) {
				t.Errorf("%s: axis %d is called %s and has size %d", tap, i, axis, size)
			}
		}
	}
}

func TestElements(t *testing.T) {
	for _, c := range []struct {
		shape []int
		want  int
	}{{nil, 1}, {[]int{7}, 7}, {[]int{2, 3, 4}, 24}, {[]int{2, 0, 4}, 0}} {
		if got := Elements(c.shape); got != c.want {
			t.Errorf("Elements(%v) = %d, want %d", c.shape, got, c.want)
		}
	}
}

func TestParseList(t *testing.T) {
	for _, c := range []struct {
		list string
		want []Tap
		err  string
	}{
		{"", nil, ""},
		{" ", nil, ""},
		{"kq", []Tap{KQ}, ""},
		{"l_out, inp_embd ,kq", []Tap{InpEmbd, KQ, LOut}, ""},
		{"kq,kq", []Tap{KQ}, ""},
		{"kq,", nil, `unknown tap ""`},
		{"kq,qk", nil, `unknown tap "qk"; the taps are inp_embd, attn_norm`},
		{"KQ", nil, `unknown tap "KQ"`},
	} {
		got, err := ParseList(c.list)
		if !slices.Equal(got, c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("ParseList(%q) = %v, %v; want %v, %q", c.list, got, err, c.want, c.err)
		}
	}
}

func TestCompareIsExecutionOrder(t *testing.T) {
	want := []string{
		"s0000.inp_embd", "s0000.l00.attn_norm", "s0000.l00.q_proj", "s0000.l00.l_out", "s0000.l01.attn_norm", "s0000.l09.l_out",
		"s0000.l10.attn_norm", "s0000.l100.kq", "s0000.result_norm", "s0000.result_output",
		"s0001.inp_embd", "s0001.l00.kq", "s0010.inp_embd", "s9999.result_output",
	}
	keys := make([]Key, len(want))
	for i, name := range want {
		k, err := ParseKey(name)
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = k
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	slices.SortFunc(keys, Key.Compare)
	got := make([]string, len(keys))
	for i, k := range keys {
		got[i] = k.String()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	for i, a := range keys {
		for j, b := range keys {
			if (a.Compare(b) == 0) != (i == j) || a.Compare(b) != -b.Compare(a) {
				t.Errorf("%s and %s compare as %d and %d", a, b, a.Compare(b), b.Compare(a))
			}
		}
	}
}
