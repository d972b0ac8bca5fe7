package document

import (
	"fmt"
	"slices"

	"attndiff/reference/source"
	"attndiff/traces/execution"
	"attndiff/traces/tap"
)

// rope is the node that rotates layer 0's keys and its graph, nil when untold.
func (m *material) rope() (*graph, *execution.Tensor) {
	g := m.any()
	return g, g.node(tap.KRope, 0)
}

// ropeModes names enum ggml_rope_type.
var ropeModes = map[float64]string{0: "GGML_ROPE_TYPE_NORMAL", 2: "GGML_ROPE_TYPE_NEOX"}

func answerRope(m *material, p *page) []string {
	g, n := m.rope()
	if n == nil {
		m.untold(p)
	} else {
		p.para("One `ROPE` op for Q and one for K, on [head_dim, heads, tokens], after the bias. Mode %.0f (%s): dim i turns together with dim i + %d, for i from 0 to %d. %d of %d dims of a head are turned.",
			n.Params["mode"], code(ropeModes[n.Params["mode"]]), int(n.Params["n_dims"])/2, int(n.Params["n_dims"])/2-1, int(n.Params["n_dims"]), m.hp.HeadDim)
	}
	p.block(m.quote(source.Rotation))
	m.both(p, "pairs", "Pairing")
	return []string{g.nodeFactOf(n), m.at(source.NeoxArchitecture), m.judged(tap.QRope), m.judged(tap.KRope)}
}

// nodeFactOf is nodeFact of a node that may not be there.
func (g *graph) nodeFactOf(n *execution.Tensor) string {
	if g == nil || n == nil {
		return ""
	}
	return g.nodeFact(n)
}

func answerRopeParameters(m *material, p *page) []string {
	_, n := m.rope()
	if n == nil {
		m.untold(p)
		p.para("The model's frequency base is %.0f.", m.hp.RopeFreqBase)
		return []string{m.trials.evidence("base")}
	}
	var rows [][]string
	meanings := map[string]string{
		"freq_base": "base of the angles", "freq_scale": "factor on positions; 1 is none", "ext_factor": "YaRN's mix; 0 is off",
		"attn_factor": "factor on sin and cos; 1 is none", "beta_fast": "YaRN, without effect while ext_factor is 0",
		"beta_slow": "YaRN, without effect while ext_factor is 0", "n_ctx_orig": "context the model was trained on", "n_dims": "dims turned", "mode": "pairing",
	}
	for _, name := range []string{"freq_base", "freq_scale", "ext_factor", "attn_factor", "beta_fast", "beta_slow", "n_ctx_orig", "n_dims", "mode"} {
		rows = append(rows, []string{code(name), fmt.Sprintf("%.7g", n.Params[name]), meanings[name]})
	}
	p.table([]string{"op parameter", "value in the graph", "meaning"}, rows)
	own := m.ourArg(tap.KRope, "base")
	if own != nil {
		p.para("Ours passes base = %.7g to its kernel.", own.Number)
	}
	return []string{m.at(source.FreqBase), m.trials.evidence("base")}
}

// ourArg is an argument of the launch that computes a tap of layer 0, nil when
// untold.
func (m *material) ourArg(t tap.Tap, name string) *execution.Arg {
	for _, l := range m.ours.launches {
		if l == nil {
			continue
		}
		if op := l.Find(t.String(), 0); op != nil && op.Launch != nil {
			return op.Launch.Arg(name)
		}
	}
	return nil
}

// ropeBeforeCache says by node order whether K was turned before it was
// stored: their places in the graph, -1 when untold.
func (m *material) ropeBeforeCache() (g *graph, turned, stored int) {
	g = m.any()
	turn, store := g.node(tap.KRope, 0), g.node(tap.KCache, 0)
	if turn == nil || store == nil {
		return g, -1, -1
	}
	place := func(n *execution.Tensor) int {
		return slices.IndexFunc(g.Tensors, func(t execution.Tensor) bool { return t.Name == n.Name && t.Op == n.Op && t.NE == n.NE })
	}
	return g, place(turn), place(store)
}

func answerRopeOrder(m *material, p *page) []string {
	_, turned, stored := m.ropeBeforeCache()
	switch {
	case turned < 0:
		m.untold(p)
	case turned < stored:
		p.para("Before. In the graph K's `ROPE` is tensor %d and the write to the cache tensor %d, and the write reads what `ROPE` made. The cache holds rotated keys; in decode only the new key is turned, by its own position. V is never turned.", turned, stored)
	default:
		p.para("After: the write to the cache is tensor %d of the graph, K's `ROPE` tensor %d.", stored, turned)
	}
	m.both(p, "k cache", "What the cache holds")
	return []string{m.at(source.CacheThenRead), m.trials.evidence("k cache")}
}

func answerRopeFormula(m *material, p *page) []string {
	half := m.hp.HeadDim / 2
	p.fence("text", fmt.Sprintf(`theta[i]  = pos * %.0f^(-2i/%d)                  i = 0 .. %d
y[i]      = x[i] * cos(theta[i]) - x[i+%d] * sin(theta[i])
y[i+%d]   = x[i] * sin(theta[i]) + x[i+%d] * cos(theta[i])`, m.hp.RopeFreqBase, m.hp.HeadDim, half-1, half, half, half))
	p.para("On the CPU the angle is a running product, on the GPU a power per pair:")
	p.block(m.quote(source.RopeAngle))
	p.block(m.quote(source.RopeKernel))
	m.ourPlaces(p, tap.KRope)
	return []string{m.judged(tap.QRope), m.judged(tap.KRope), m.trials.evidence("pairs")}
}

func answerRopeBase(m *material, p *page) []string {
	_, n := m.rope()
	base := m.hp.RopeFreqBase
	if n != nil {
		base = n.Params["freq_base"]
	}
	p.para("%.0f in this model, from the GGUF's key `qwen2.rope.freq_base`. A model without the key gets 10000.", base)
	if own := m.ourArg(tap.KRope, "base"); own != nil {
		same := "the same"
		if own.Number != base {
			same = "**another**"
		}
		p.para("Ours passes %.0f: %s.", own.Number, same)
	}
	m.both(p, "base", "Base")
	p.block(m.quote(source.FreqBase))
	return []string{m.at(source.FreqBase)}
}

func answerRopeWhen(m *material, p *page) []string {
	g, turned, stored := m.ropeBeforeCache()
	if turned >= 0 {
		p.para("Tensor %d of the %s's graph is K's `ROPE`, tensor %d the `SET_ROWS` into the cache, which reads %s.", turned, execution.Phases[g.Step], stored,
			g.operand(g.Source(g.node(tap.KCache, 0), 0)))
	} else {
		m.untold(p)
	}
	if t := m.trials.made["k cache"]; t != nil && len(t.ref) > 1 {
		p.para("The recorded cache settles it by its contents: against the rotated keys it is off by %s, against the keys before RoPE by %s (NMSE; %s).", measured(t.ref, 0), measured(t.ref, 1), t.place())
	}
	p.block(m.quote(source.StoreK))
	return []string{m.at(source.StoreK), m.judged(tap.KCache)}
}

func answerRopeDims(m *material, p *page) []string {
	_, n := m.rope()
	if n == nil {
		m.untold(p)
		return []string{m.judged(tap.KRope)}
	}
	dims := int64(n.Params["n_dims"])
	rest := "so no dim is passed through"
	if dims < n.NE[0] {
		rest = fmt.Sprintf("the other %d pass through unchanged", n.NE[0]-dims)
	}
	p.para("The op turns the first n_dims = %d dims of a row of ne[0] = %d, %s. The exponent of an angle is -2i/n_dims, so it depends on the dims turned and not on how many heads there are: Q (%d heads) and K (%d heads) go through the same op with the same angles. llama.cpp asserts for Qwen2 that head_dim of K, of V and n_rot agree.",
		dims, n.NE[0], rest, m.hp.NHead, m.hp.NHeadKV)
	return []string{m.any().nodeFactOf(m.any().node(tap.QRope, 0)), m.any().nodeFactOf(n), m.at(source.HeadDims)}
}

// normed names what layer 0 of the graph normalises.
func (m *material) normed() []string {
	g := m.any()
	var names []string
	for i := range g.Tensors {
		n := &g.Tensors[i]
		if n.Layer != 0 || n.Op == "" || len(n.Src) == 0 || g.Source(n, 0).Op != "RMS_NORM" {
			continue
		}
		names = append(names, g.label(n))
	}
	return names
}

func answerRopeScaling(m *material, p *page) []string {
	_, n := m.rope()
	if n == nil {
		m.untold(p)
		return nil
	}
	none := n.Params["freq_scale"] == 1 && n.Params["ext_factor"] == 0 && n.Params["attn_factor"] == 1 && len(n.Src) == 2
	if none {
		p.para("None: freq_scale = 1, ext_factor = 0 (no YaRN), attn_factor = 1, and the op has no third operand of frequency factors. Q and K are not normalised either: the `RMS_NORM` nodes of layer 0 are those of %s.", prose(m.normed()))
	} else {
		p.para("Yes: freq_scale = %.7g, ext_factor = %.7g, attn_factor = %.7g, %s.", n.Params["freq_scale"], n.Params["ext_factor"], n.Params["attn_factor"], plural(len(n.Src), "operand"))
	}
	return []string{m.any().nodeFactOf(n), m.at(source.LlamaFactors)}
}
