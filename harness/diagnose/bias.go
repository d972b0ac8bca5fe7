package diagnose

import (
	"fmt"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// biasTaps are the taps that a bias is added at.
var biasTaps = []tap.Tap{tap.QBias, tap.KBias, tap.VBias}

// biasName is the bias that belongs to a projection, its bias or its rotation.
func biasName(of tap.Key) string {
	name := map[tap.Tap]string{
		tap.QProj: "attn_q", tap.QBias: "attn_q", tap.QRope: "attn_q",
		tap.KProj: "attn_k", tap.KBias: "attn_k", tap.KRope: "attn_k",
		tap.VProj: "attn_v", tap.VBias: "attn_v",
	}[of.Tap]
	return fmt.Sprintf("blk.%d.%s.bias", of.Layer, name)
}

// addsBias is a result to which the op's bias is added although it is not this
// op that adds it.
func addsBias(m Model) oracle.Variant {
	return oracle.Variant{Result: func(of tap.Key, y oracle.Rows, _ tap.Dims, _ oracle.Fetch) (oracle.Rows, error) {
		b := m.Vector(biasName(of))
		if len(b) == 0 {
			return oracle.Rows{}, oracle.ErrNotApplicable
		}
		return mapped(y, func(i int, v float64) float64 { return v + b[i%len(b)] }), nil
	}}
}

// withBias is a result made anew of a recording, read as it lies, and the bias.
func withBias(m Model, input func(of tap.Key) tap.Tap, f func(x, b float64) float64) oracle.Variant {
	return oracle.Variant{Result: func(of tap.Key, y oracle.Rows, _ tap.Dims, fetch oracle.Fetch) (oracle.Rows, error) {
		b := m.Vector(biasName(of))
		x, err := fetch(tap.At(of.Step, of.Layer, input(of)))
		if err != nil || len(b) == 0 || len(x.V) < len(y.V) {
			return oracle.Rows{}, oracle.ErrNotApplicable
		}
		return noisier(mapped(y, func(i int, _ float64) float64 { return f(x.V[i], b[i%len(b)]) }), 4*f32), nil
	}}
}

// biasMistakes are the mistakes people make in the biases of Q, K and V.
func biasMistakes(m Model) []Hypothesis {
	d := m.Dims
	var out []Hypothesis
	amount := func(id, title, fix string, times float64) {
		out = append(out, Hypothesis{ID: id, Aspect: "amount", Taps: biasTaps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) { s.BiasScale = times })})
	}
	amount("bias-missing", "the bias is left out",
		"Qwen2 has biases on Q, K and V (Llama has none): add blk.N.attn_{q,k,v}.bias after the product.", 0)
	amount("bias-twice", "the bias is added twice", "Add the bias once: in the product's epilogue or in its own op, not in both.", 2)
	amount("bias-subtracted", "the bias is subtracted", "Add the bias.", -1)

	vector := func(id, title string, taps []tap.Tap, name func(of tap.Key) string) {
		out = append(out, Hypothesis{ID: id, Aspect: "vector", Taps: taps, Title: title,
			Fix:     "Check the bias pointer: each of Q, K and V has its own in each layer.",
			Variant: oracle.Variant{Tensor: func(of tap.Key, _ string) string { return name(of) }}})
	}
	for _, other := range []struct {
		at        []tap.Tap
		name, who string
	}{
		{[]tap.Tap{tap.KBias, tap.VBias}, "attn_q", "Q"},
		{[]tap.Tap{tap.VBias, tap.QBias}, "attn_k", "K"},
		{[]tap.Tap{tap.KBias, tap.QBias}, "attn_v", "V"},
	} {
		vector("bias-of-"+other.name[len("attn_"):], "the bias is "+other.who+"'s", other.at,
			func(of tap.Key) string { return fmt.Sprintf("blk.%d.%s.bias", of.Layer, other.name) })
	}
	vector("bias-of-layer-before", "the bias is that of the layer before", biasTaps,
		func(of tap.Key) string { of.Layer--; return biasName(of) })
	vector("bias-of-next-layer", "the bias is that of the next layer", biasTaps,
		func(of tap.Key) string { of.Layer++; return biasName(of) })
	vector("bias-of-layer-0", "every layer adds the bias of layer 0", biasTaps,
		func(of tap.Key) string { of.Layer = 0; return biasName(of) })

	index := func(id, title string, at func(j int) int) {
		out = append(out, Hypothesis{ID: id, Aspect: "index", Taps: biasTaps, Title: title,
			Fix:     "The bias has one element per output channel: element h*head_dim + d for dim d of head h.",
			Variant: semantic(func(s *oracle.Semantics) { s.BiasIndex = at })})
	}
	index("bias-first-head-for-all", "all heads get the first head_dim elements of the bias", func(j int) int { return j % d.D })
	index("bias-indexed-by-head", "all dims of a head get one element of the bias", func(j int) int { return j / d.D })
	for _, t := range []struct {
		taps  []tap.Tap
		heads int
	}{{[]tap.Tap{tap.QBias}, d.H}, {[]tap.Tap{tap.KBias, tap.VBias}, d.G}} {
		index("bias-transposed", "the bias is read [head_dim, heads] instead of [heads, head_dim]",
			func(j int) int { return j%d.D*t.heads + j/d.D })
		out[len(out)-1].Taps = t.taps
		index("bias-heads-reversed", "heads get their biases last one first",
			func(j int) int { return (t.heads-1-j/d.D)*d.D + j%d.D })
		out[len(out)-1].Taps = t.taps
	}
	half := d.D / 2
	index("bias-permuted-for-interleaved-rope", "the bias of each head is permuted from halves to neighbours, as Llama's converter does with weights",
		func(j int) int { return j/d.D*d.D + j%d.D%2*half + j%d.D/2 })
	index("bias-permuted-for-neox-rope", "the bias of each head is permuted from neighbours to halves",
		func(j int) int { return j/d.D*d.D + j%d.D%half*2 + j%d.D/half })
	index("bias-one-ahead", "channel j gets element j+1 of the bias", func(j int) int { return j + 1 })
	index("bias-one-behind", "channel j gets element j-1 of the bias", func(j int) int { return j - 1 })
	return append(append(out, biasRowMistakes()...), biasInputMistakes(m)...)
}

// biasRowMistakes leave tokens without their bias.
func biasRowMistakes() []Hypothesis {
	rows := func(id, title string, in func(t int) bool) Hypothesis {
		return Hypothesis{ID: id, Aspect: "rows", Taps: biasTaps, Title: title,
			Fix:     "Add the bias to every token's row: the grid must cover all T rows.",
			Variant: semantic(func(s *oracle.Semantics) { s.BiasRow = in })}
	}
	return []Hypothesis{
		rows("bias-first-token-only", "only the first token of a step gets its bias", func(t int) bool { return t == 0 }),
		rows("bias-not-on-first-token", "the first token of a step gets no bias", func(t int) bool { return t > 0 }),
		{ID: "bias-last-token-only", Aspect: whole, Taps: biasTaps,
			Title: "only the last token of a step gets its bias", Fix: "Add the bias to every token's row: the grid must cover all T rows.",
			Variant: oracle.Variant{Result: func(of tap.Key, y oracle.Rows, d tap.Dims, fetch oracle.Fetch) (oracle.Rows, error) {
				x, err := fetch(tap.At(of.Step, of.Layer, of.Tap-1))
				if err != nil || len(x.V) != len(y.V) {
					return oracle.Rows{}, oracle.ErrNotApplicable
				}
				last := len(y.V) / max(d.T, 1) * (d.T - 1)
				return mapped(y, func(i int, v float64) float64 {
					if i < last {
						return x.V[i]
					}
					return v
				}), nil
			}}},
	}
}

// biasInputMistakes add the bias to something else.
func biasInputMistakes(m Model) []Hypothesis {
	input := func(id, title, fix string, taps []tap.Tap, v oracle.Variant) Hypothesis {
		return Hypothesis{ID: id, Aspect: "input", Taps: taps, Title: title, Fix: fix, Variant: v}
	}
	fix := "Add the bias to this projection's own result, before RoPE."
	return []Hypothesis{
		input("bias-after-rope", "the bias is added to the rotated projection", "Add the bias first, then rotate.",
			[]tap.Tap{tap.QBias}, reads(tapOf(tap.QRope))),
		input("bias-after-rope", "the bias is added to the rotated projection", "Add the bias first, then rotate.",
			[]tap.Tap{tap.KBias}, reads(tapOf(tap.KRope))),
		input("bias-on-k-proj", "the bias is added to k_proj", fix, []tap.Tap{tap.VBias}, reads(tapOf(tap.KProj))),
		input("bias-on-v-proj", "the bias is added to v_proj", fix, []tap.Tap{tap.KBias}, reads(tapOf(tap.VProj))),
		input("bias-on-layer-before", "the bias is added to the layer before's projection", fix, biasTaps, reads(layersBack(1))),
		{ID: "bias-multiplied", Aspect: whole, Taps: biasTaps, Title: "the projection is multiplied by the bias", Fix: "Add the bias.",
			Variant: withBias(m, func(of tap.Key) tap.Tap { return of.Tap - 1 }, func(x, b float64) float64 { return x * b })},
		{ID: "bias-on-q-proj", Aspect: whole, Taps: []tap.Tap{tap.KBias, tap.VBias}, Title: "the bias is added to q_proj, read as rows of the KV width", Fix: fix,
			Variant: withBias(m, func(tap.Key) tap.Tap { return tap.QProj }, func(x, b float64) float64 { return x + b })},
		input("bias-alone", "the projection is lost and the bias alone is passed on", fix, biasTaps,
			feedsAll(func(x oracle.Rows, _ tap.Dims) oracle.Rows { return zeroWhere(x, func(int) bool { return true }) })),
	}
}
