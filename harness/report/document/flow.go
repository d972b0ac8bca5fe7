package document

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attndiff/harness/report"
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

// ourFlow is our attention of layer 0 step by step: what was launched, or what
// was recorded where the trace does not tell more.
func (m *material) ourFlow(p *page) {
	l, later := m.ours.launches[0], m.ours.launches[1]
	if l == nil {
		m.recordedFlow(p)
		return
	}
	p.para("What ours launched for the prefill of %s, layer 0, in order. Shapes are row-major, outermost axis first. Where a decode step launches otherwise, its figures follow.", plural(l.Tokens, "token"))
	var items []string
	for i := range l.List {
		op := &l.List[i]
		if op.Layer > 0 || op.Layer < 0 && op.Tap != tap.InpEmbd.String() {
			continue
		}
		t, err := tap.Parse(op.Tap)
		if err != nil || t > tap.FFNInp {
			continue
		}
		title := capital(t.Meaning())
		if t == tap.KQV && fused(l, op.Layer) {
			title = "Scores, softmax and weighted sum in one"
		}
		item := fmt.Sprintf("**%s** (tap %s): %s. Gives %s [%s].", text(title), code(op.Tap), m.opText(op), code(op.Out.Buffer), join(op.Out.Shape))
		if later != nil {
			if d := later.Find(op.Tap, op.Layer); d != nil && m.opText(d) != m.opText(op) {
				item += " In decode: " + m.otherwise(op, d) + "."
			}
		}
		items = append(items, item+m.ourStatus(t))
	}
	items = append(items, "The feed-forward block follows ("+code("ffn_norm")+" to "+code("l_out")+"), then the next layer.")
	p.steps(items...)
}

// opText says what an op ran, with its numbers.
func (m *material) opText(op *execution.Op) string {
	switch {
	case op.Gemm != nil:
		g := op.Gemm
		s := fmt.Sprintf("GEMM %s, %s, m = %d, n = %d, k = %d, A = %s %s (ld %d), B = %s (ld %d), C ld %d",
			transposed(g.TransA), transposed(g.TransB), g.M, g.N, g.K, code(g.A.Buffer), g.A.Type, g.A.Ld, code(g.B.Buffer), g.B.Ld, g.C.Ld)
		if g.Alpha != 1 || g.Beta != 0 {
			s += fmt.Sprintf(", alpha = %.7g, beta = %.7g", g.Alpha, g.Beta)
		}
		return s
	case op.Launch != nil:
		l := op.Launch
		var args []string
		for _, a := range l.Args {
			args = append(args, argText(a))
		}
		return codef("%s<<<%s, %s>>>(%s)", l.Kernel, dim(l.Grid), dim(l.Block), strings.Join(args, ", "))
	}
	return "nothing was launched"
}

// otherwise says what another step's op runs with, as far as it differs.
func (m *material) otherwise(op, other *execution.Op) string {
	a, b := op.Launch, other.Launch
	switch {
	case a != nil && b != nil && a.Kernel == b.Kernel && len(a.Args) == len(b.Args):
		var parts []string
		if a.Grid != b.Grid {
			parts = append(parts, "grid "+dim(b.Grid))
		}
		if a.Block != b.Block {
			parts = append(parts, "block "+dim(b.Block))
		}
		for i := range a.Args {
			if a.Args[i] != b.Args[i] {
				parts = append(parts, argText(b.Args[i]))
			}
		}
		return code(strings.Join(parts, ", "))
	case op.Gemm != nil && other.Gemm != nil:
		same := *other.Gemm
		if same.N = op.Gemm.N; same == *op.Gemm {
			return fmt.Sprintf("n = %d", other.Gemm.N)
		}
	}
	return m.opText(other)
}

// argText spells an argument as "name = value".
func argText(a execution.Arg) string {
	value := fmt.Sprintf("%.7g", a.Number)
	if a.Buffer != "" {
		value = a.Buffer
		if a.Offset != 0 {
			value += fmt.Sprintf("+%d", a.Offset)
		}
	}
	if a.Name == "" {
		return value
	}
	return a.Name + "=" + value
}

// dim spells a grid or block without the ones at the end.
func dim(d [3]int) string {
	n := 3
	for n > 1 && d[n-1] == 1 {
		n--
	}
	if n == 1 {
		return fmt.Sprint(d[0])
	}
	return "(" + join(d[:n]) + ")"
}

// ourStatus says how a tap of ours was judged.
func (m *material) ourStatus(t tap.Tap) string {
	worst, status := m.worst(t)
	if worst == nil {
		return ""
	}
	switch status {
	case verdict.Introduced:
		if worst.NonFinite > 0 {
			return " **Wrong**: not finite."
		}
		return fmt.Sprintf(" **Wrong**: off by %s, allowed %s.", amount(worst), worst.Allowance)
	case verdict.Inherited:
		return fmt.Sprintf(" Right (off by %s) on inputs that already differ.", amount(worst))
	case verdict.OK:
		if worst.Allowance == 0 && amount(worst) == "0" {
			return " Exact, as it must be."
		}
		return fmt.Sprintf(" Off by %s, allowed %s.", amount(worst), worst.Allowance)
	case verdict.Missing:
		return " Not recorded, and not judged."
	}
	return " Not judged: the oracle does not reproduce llama.cpp here."
}

// amount is what a recording is off by: its op's error, or the drift where
// ops were not judged.
func amount(r *report.Tap) string {
	switch {
	case r.NonFinite > 0:
		return "not finite"
	case !math.IsNaN(float64(r.OpOurs)):
		return r.OpOurs.String()
	}
	return measure(r.Drift)
}

// measure prints a figure that may not be there.
func measure(n report.Number) string {
	if math.IsNaN(float64(n)) {
		return "-"
	}
	return n.String()
}

// recordedFlow lists what ours recorded, for an engine that does not tell what
// it ran.
func (m *material) recordedFlow(p *page) {
	p.para("This trace (%s) does not tell what it ran%s, only what came out. Taps of layer 0 as it recorded them; shapes are row-major.", text(m.Ours.Engine), m.ours.why())
	var items []string
	for _, t := range attentionTaps {
		item := fmt.Sprintf("**%s** (tap %s): ", text(capital(t.Meaning())), code(t.String()))
		info, ok := m.ours.Info(tap.At(0, 0, t))
		if !ok {
			items = append(items, item+"not recorded.")
			continue
		}
		items = append(items, item+fmt.Sprintf("%s [%s].", info.DType, join(info.Shape))+m.ourStatus(t))
	}
	p.steps(items...)
}
