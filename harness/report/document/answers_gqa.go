package document

import (
	"fmt"
	"slices"
	"strings"

	"attndiff/reference/source"
	"attndiff/traces/execution"
	"attndiff/traces/tap"
)

func answerGQA(m *material, p *page) []string {
	g := m.any()
	a := g.attention()
	if a == nil {
		m.untold(p)
		p.block(m.quote(source.Scores))
		return []string{m.trials.evidence("heads of k")}
	}
	op := "one batched " + code("MUL_MAT") + " for the scores and one for the weighted sum"
	if m.flash() {
		op = "one fused " + code("FLASH_ATTN_EXT") + " for scores, softmax and weighted sum"
	}
	if a.k.NE[2] != int64(m.hp.NHeadKV) {
		p.para("The model has %s; K comes to the product with %d heads: %s.", m.heads(), a.k.NE[2], layout(a.k))
		return []string{g.nodeFact(a.scores)}
	}
	p.para("The model has %s. llama.cpp does not repeat K and V: it permutes Q, K and V so that heads are the batch axis (third of `ne`) and runs %s. Q has %d of that axis (%s), K and V have %d (%s and %s); ggml broadcasts the smaller over the larger, so %s share one KV head.",
		m.heads(), op, a.q.NE[2], shape(a.q.NE), a.k.NE[2], shape(a.k.NE), shape(a.v.NE), plural(m.groups(), "query head"))
	return []string{g.nodeFact(a.scores), "operands K " + layout(a.k) + " and Q " + layout(a.q), m.at(source.PermuteHeads), m.judged(tap.KQ)}
}

func answerFormula(m *material, p *page) []string {
	d := m.hp
	p.para("Per layer, with h a query head, g = h / %d its KV head, t a token of the step at position pos = P + t, c a position up to pos:", m.groups())
	p.fence("text", fmt.Sprintf(`x        = x_in / sqrt(mean(x_in^2) + %.3g) * w_norm
q[h]     = RoPE(Wq x + bq, pos)      k[g] = RoPE(Wk x + bk, pos)      v[g] = Wv x + bv
K[pos,g] = round_%s(k[g])           V[pos,g] = round_%s(v[g])
s[h,c]   = sum_d q[h,d] K[c,g,d]                       (raw, f32)
p[h,c]   = exp(s/%s - m) / sum_c' exp(s/%s - m)       c <= pos, m the largest s/%s of the row
o[h]     = sum_c p[h,c] V[c,g]
x_out    = x_in + Wo concat_h(o[h])`, d.RMSEps, d.KVType, d.KVType, rootOf(d.HeadDim), rootOf(d.HeadDim), rootOf(d.HeadDim)))
	p.para("The order of operations is that of the list under [Attention Flow Comparison](#attention-flow-comparison): norm, projections with biases, RoPE, cache write, scores, softmax with scale and mask, weighted sum, output projection, residual.")
	var evidence []string
	for _, name := range []string{"norm", "pairs", "scale", "heads of k"} {
		evidence = append(evidence, m.trials.evidence(name))
	}
	return evidence
}

// rootOf spells sqrt(n), as a number where it is whole.
func rootOf(n int) string {
	for r := 1; r*r <= n; r++ {
		if r*r == n {
			return fmt.Sprint(r)
		}
	}
	return fmt.Sprintf("sqrt(%d)", n)
}

func answerGrouping(m *material, p *page) []string {
	if m.hp.NHeadKV == m.hp.NHead {
		p.para("This model has a KV head for every query head (%s): there are no groups.", m.heads())
		return nil
	}
	p.para("Query head h reads KV head h / %d, whole part: query heads %s.", m.groups(), m.headMap())
	m.both(p, "heads of k", "Keys")
	m.both(p, "heads of v", "Values")
	if m.hp.NHeadKV == 1 {
		p.para("With one KV head every map is the same, so no experiment can tell maps apart.")
	}
	return []string{m.at(source.Broadcast), m.at(source.BroadcastKernel), m.trials.evidence("heads of k")}
}

// headMap spells which query heads share which KV head: "0-6 read KV head 0,
// 7-13 KV head 1".
func (m *material) headMap() string {
	var parts []string
	n := m.groups()
	for g := range m.hp.NHeadKV {
		if g == 4 && m.hp.NHeadKV > 5 {
			parts = append(parts, "and so on")
			break
		}
		which := fmt.Sprintf("%d-%d", g*n, g*n+n-1)
		if n == 1 {
			which = fmt.Sprint(g)
		}
		parts = append(parts, fmt.Sprintf("%s read KV head %d", which, g))
	}
	return strings.Join(parts, ", ")
}

func answerSequence(m *material, p *page) []string {
	g := m.any()
	if g == nil {
		m.untold(p)
		return []string{m.at(source.CacheThenRead)}
	}
	var order []string
	for _, n := range attentionNodes(g) {
		name := n.Op
		if t, ok := g.made[n]; ok {
			name = t.String()
		}
		order = append(order, name)
	}
	p.para("Layer 0 of the captured graph, in execution order, tensors that are taps by their tap's name: %s.", code(strings.Join(order, " → ")))
	v, k := slices.Index(order, tap.VProj.String()), slices.Index(order, tap.KProj.String())
	if v >= 0 && v < k {
		p.para("V comes before K because `build_attn` adds Q, V and K to the graph in that order, so that a backend can fuse K's rotation with its write to the cache; nothing else depends on it.")
	}
	return []string{fmt.Sprintf("%d nodes in the graph of the %s, layer 0 listed node by node above", g.Nodes, execution.Phases[g.Step]), m.at(source.CacheThenRead)}
}

func answerProjections(m *material, p *page) []string {
	g := m.any()
	if g == nil {
		m.untold(p)
		p.block(m.quote(source.ReshapeHeads))
		return nil
	}
	var rows [][]string
	for _, name := range []struct{ head, tap tap.Tap }{{tap.QProj, tap.QBias}, {tap.KProj, tap.KBias}, {tap.VProj, tap.VBias}} {
		n := g.node(name.head, 0)
		if n == nil {
			continue
		}
		bias, reshaped := "-", "-"
		if b := g.node(name.tap, 0); b != nil {
			bias = g.label(g.Source(b, 1)) + " " + shape(g.Source(b, 1).NE)
		}
		for i := range g.Tensors {
			r := &g.Tensors[i]
			if root := g.Root(r); r.Op == "RESHAPE" && reshaped == "-" && (root == n || root == g.node(name.tap, 0)) {
				reshaped = fmt.Sprintf("%s, strides %s", shape(r.NE), strides(r))
			}
		}
		w := g.Source(n, 0)
		rows = append(rows, []string{code(name.head.String()), g.label(w) + " " + w.Type + " " + shape(w.NE), shape(g.Source(n, 1).NE), shape(n.NE), bias, reshaped})
	}
	p.para("A projection is one `MUL_MAT` of the weight and the normed rows, followed by an `ADD` of the bias. The result [channels, tokens] is then looked at as [head_dim, heads, tokens]: a `RESHAPE`, which moves nothing. Consecutive channels of a row are one head. (%s of layer 0.)", execution.Phases[g.Step])
	p.table([]string{"projection", "weight (`ne` = [in, out])", "input", "result", "bias added", "then seen as"}, rows)
	p.block(m.quote(source.ReshapeHeads))
	return []string{m.at(source.ReshapeHeads), m.judged(tap.QProj), m.judged(tap.KProj), m.trials.evidence("weight")}
}

func answerScores(m *material, p *page) []string {
	g := m.any()
	var evidence []string
	if soft := g.node(tap.KQSoftMax, 0); soft != nil {
		p.para("Raw scores are K^T q, one `MUL_MAT` per layer over all heads, with f32 precision forced. Scale, mask and softmax are one op after it: `SOFT_MAX` multiplies by %s = %.7g, adds the mask (0 or -inf) and normalises. `kq` itself holds no scale and no mask.",
			code("scale"), soft.Params["scale"])
		evidence = append(evidence, g.nodeFact(g.node(tap.KQ, 0)), g.nodeFact(soft))
	} else if a := g.attention(); a != nil {
		p.para("This run used fused attention: `FLASH_ATTN_EXT` holds scale = %.7g and computes scores, mask, softmax and weighted sum without storing scores.", a.scores.Params["scale"])
		evidence = append(evidence, g.nodeFact(a.scores))
	} else {
		m.untold(p)
	}
	p.block(m.quote(source.Scores))
	p.block(m.quote(source.Probabilities))
	m.both(p, "scale", "The factor")
	return append(evidence, m.at(source.ScoreScale), m.trials.evidence("scale"))
}

func answerGroupingCode(m *material, p *page) []string {
	p.para("By broadcasting in the matrix product, not by copying. On the CPU the KV head is the query head divided by the ratio of the two head counts:")
	p.block(m.quote(source.Broadcast))
	p.para("On a GPU, for one token, the vector kernel divides the same way; for many tokens cuBLAS gets a list of pointers in which K's are repeated:")
	p.block(m.quote(source.BroadcastKernel))
	m.ourPlaces(p, tap.KQ, tap.KQV)
	return []string{m.trials.evidence("heads of k"), m.trials.evidence("heads of v")}
}

// ourPlaces points to the kernels that compute taps.
func (m *material) ourPlaces(p *page, taps ...tap.Tap) {
	var places []string
	for _, t := range taps {
		for _, f := range m.ourCode(t) {
			if strings.Contains(f.text, "__global__") || strings.Count(f.text, "\n") > 2 {
				places = append(places, fmt.Sprintf("%s (%s)", code(f.name), m.links.code("ours/kernels/"+f.file, f.line)))
			}
		}
	}
	if places != nil {
		p.para("Ours: %s, quoted under [Our Attention](#our-attention).", prose(places))
	}
}

// ourCode is the kernel that computes a tap, as it was compiled; nil when a
// product does or the trace does not tell.
func (m *material) ourCode(t tap.Tap) []fragment {
	var all []fragment
	for _, l := range m.ours.launches {
		if l == nil {
			continue
		}
		for i := range l.List {
			op := &l.List[i]
			if op.Tap != t.String() || op.Launch == nil {
				continue
			}
			for _, f := range kernelCode(m.ours.kernels, op.Launch.File, op.Launch.Kernel) {
				if !slices.Contains(all, f) {
					all = append(all, f)
				}
			}
			break // the other layers launch the same
		}
	}
	return all
}

func answerLayoutQKV(m *material, p *page) []string {
	var rows [][]string
	for phase, g := range m.phases {
		a := g.attention()
		if a == nil {
			continue
		}
		for _, t := range []struct {
			what string
			t    *execution.Tensor
		}{{"Q as scores read it", a.q}, {"K as scores read it", a.k}, {"V as the weighted sum reads it", a.v}} {
			rows = append(rows, []string{phase, t.what, t.t.Type, shape(t.t.NE), strides(t.t), code(g.Root(t.t).Name)})
		}
	}
	if rows == nil {
		m.untold(p)
		return nil
	}
	p.table([]string{"step", "tensor", "type", "`ne`", "`nb` (bytes)", "memory of"}, rows)
	p.para("`ne` counts elements, innermost axis first, and `nb` the bytes from one element of that axis to the next. The axes are [head_dim, rows, heads] for Q and K.%s", m.valueLayoutText())
	if own := m.ourLayout(); own != "" {
		p.para("%s", own)
	}
	return []string{m.at(source.PermuteHeads), m.at(source.ViewK), m.at(source.ViewV), m.trials.evidence("k cache")}
}
