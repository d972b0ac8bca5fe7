package document

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attndiff/harness/verdict"
	"attndiff/traces/execution"
	"attndiff/traces/tap"
)

// referenceFlow is llama.cpp's attention of layer 0 step by step: the nodes of
// its graph in the order they ran, views left out.
func (m *material) referenceFlow(p *page) {
	g, later := m.ref.graph[0], m.ref.graph[1]
	if g == nil {
		m.sourceFlow(p)
		return
	}
	p.para("The graph that llama.cpp built for the prefill of %s, layer 0, in execution order. Shapes are `ne`, innermost axis first; the second shape is that of a decode step. Operations that only look at memory another way (%s) are named where they are read.",
		plural(g.Tokens, "token"), strings.ToLower(prose(views)))
	nodes, inDecode := attentionNodes(g), []*execution.Tensor(nil)
	if later != nil {
		inDecode = attentionNodes(later)
	}
	var items []string
	for i, n := range nodes {
		out := shape(n.NE)
		if len(inDecode) == len(nodes) && inDecode[i].Op == n.Op {
			out += ", in decode " + shape(inDecode[i].NE)
		}
		items = append(items, m.nodeText(g, n)+" Gives "+out+"."+m.referenceStatus(g, n))
	}
	items = append(items, "The feed-forward block follows ("+code("ffn_norm")+" to "+code("l_out")+"), then the next layer.")
	p.steps(items...)
}

// attentionNodes are layer 0's nodes up to the residual after attention, the
// embedding before them.
func attentionNodes(g *graph) []*execution.Tensor {
	var list []*execution.Tensor
	for i := range g.Tensors {
		n := &g.Tensors[i]
		made, known := g.made[n]
		first := known && made == tap.InpEmbd
		if n.Op == "" || isView(n) || n.Layer != 0 && !first {
			continue
		}
		list = append(list, n)
		if known && made == tap.FFNInp {
			break
		}
	}
	return list
}

// nodeText says what a node computes, from what.
func (m *material) nodeText(g *graph, n *execution.Tensor) string {
	title := ""
	switch {
	case n.Op == "FLASH_ATTN_EXT":
		title = fmt.Sprintf("**Scores, softmax and weighted sum in one** (tap %s): ", code(tap.KQV.String()))
	case n == g.find(n.Layer, "MUL_MAT", "kqv"):
		title = "**Probabilities times V**, head by head: "
	}
	if t, ok := g.made[n]; ok {
		title = fmt.Sprintf("**%s** (tap %s): ", text(capital(t.Meaning())), code(t.String()))
	}
	var reads []string
	for i := range n.Src {
		src := g.Source(n, i)
		s := g.operand(src)
		if len(src.Values) > 0 {
			s += " (" + values(src) + ")"
		}
		if n.Op == "SET_ROWS" && i == 2 {
			s = "into " + s
		}
		reads = append(reads, s)
	}
	how := ""
	if p := params(n); p != "" {
		how = ", " + p
	}
	return fmt.Sprintf("%s%s of %s%s.", title, code(n.Op), prose(reads), how)
}

// values spells what an input held: "0, 1, 2, ..., 13".
func values(t *execution.Tensor) string {
	var parts []string
	for i, v := range t.Values {
		if i == len(t.Values)-1 && int64(len(t.Values)) < elements(t.NE) {
			parts = append(parts, "...")
		}
		parts = append(parts, fmt.Sprintf("%.0f", v))
	}
	return strings.Join(parts, ", ")
}

func elements(ne [4]int64) int64 { return ne[0] * ne[1] * ne[2] * ne[3] }

// referenceStatus says what llama.cpp's own rounding was at a node.
func (m *material) referenceStatus(g *graph, n *execution.Tensor) string {
	t, ok := g.made[n]
	if n.Op == "FLASH_ATTN_EXT" {
		t, ok = tap.KQV, true
	}
	if !ok {
		return ""
	}
	worst, status := m.worst(t)
	switch {
	case worst == nil || math.IsNaN(float64(worst.OpRef)):
		return ""
	case status == verdict.NoOracle:
		return " The oracle does not reproduce it."
	case !m.Oracle:
		return ""
	}
	return fmt.Sprintf(" Its own rounding: %s.", worst.OpRef)
}

// sourceFlow is the order in which llama.cpp's sources call for the ops, for a
// recording that does not tell its graph.
func (m *material) sourceFlow(p *page) {
	p.para("This recording does not tell its graph%s. The order below is that of llama.cpp's sources (%s).", m.ref.why(), text(m.Reference.Version))
	var items []string
	for _, t := range attentionTaps {
		item := fmt.Sprintf("**%s** (tap %s)", text(capital(t.Meaning())), code(t.String()))
		if m.noTree == nil {
			place, err := m.tree.Find(t)
			if err != nil {
				item += ": " + text(err.Error())
			} else {
				item += fmt.Sprintf(": %s, %s", code(strings.TrimSpace(place.Snippet[0])), codef("%s:%d", place.File, place.Line))
			}
		}
		items = append(items, item)
	}
	if m.noTree != nil {
		items = append(items, text(m.noTree.Error()))
	}
	p.steps(items...)
}

// why says that notes were there and broken, "" when there were none.
func (s *side) why() string {
	if len(s.broken) == 0 {
		return ""
	}
	return " (" + text(strings.Join(s.broken, "; ")) + ")"
}

// attentionTaps are the taps of a layer's attention, in execution order.
var attentionTaps = func() []tap.Tap {
	all := tap.All()
	return all[slices.Index(all, tap.AttnNorm) : slices.Index(all, tap.FFNInp)+1]
}()
