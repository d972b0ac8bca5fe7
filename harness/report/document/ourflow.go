package document

import (
	"fmt"
	"math"
	"strings"

	"attndiff/harness/report"
	"attndiff/harness/verdict"
	"attndiff/traces/execution"
	"attndiff/traces/tap"
)

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
