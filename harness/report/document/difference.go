package document

import (
	"fmt"
	"math"
	"slices"

	"attndiff/harness/report"
)

// differences are all that the two sides do unlike each other: what is wrong
// first, then what this run leaves open, then what was measured and does no
// harm. An entry is ticked when nothing is left to do about it.
func (m *material) differences() []check {
	list := slices.Concat(m.wrongOps(), m.wrongCalls(), m.openLimits())
	for _, look := range []func(*material) string{
		orderDifference, valueLayout, cacheSize, paddedColumns, operandTypes, fusedScale, headBatch, finalRows,
	} {
		if text := look(m); text != "" {
			list = append(list, check{true, text})
		}
	}
	return list
}

// wrongOps are the findings.
func (m *material) wrongOps() []check {
	var list []check
	for _, f := range m.Findings {
		list = append(list, check{false, fmt.Sprintf("**%s** (%s): %s. Off by %s, allowed %s; %s of %s recordings.",
			code(f.Tap), f.Severity, text(f.Cause.Title), findingError(&f), f.Evidence.Allowance, fmt.Sprint(f.Evidence.Recordings), fmt.Sprint(f.Evidence.Of))})
	}
	return list
}

// findingError is what a finding's op is off by: its own error, or the drift
// where ops were not judged.
func findingError(f *report.Finding) string {
	for _, n := range []report.Number{f.Evidence.OpOurs, f.Evidence.Drift} {
		if !math.IsNaN(float64(n)) {
			return n.String()
		}
	}
	return "more than any number: it is not finite"
}

// wrongCalls are launches with other numbers or operands than the model calls
// for.
func (m *material) wrongCalls() []check {
	var list []check
	for _, x := range m.audit {
		s := fmt.Sprintf("The call that computes %s: %s", code(x.tap.String()), x)
		if len(x.layers) > 0 {
			s += " (" + report.Ranges("layer", x.layers) + ")"
		}
		if theirs := m.theirs(x); theirs != "" {
			s += "; " + theirs
		}
		list = append(list, check{false, s + "."})
	}
	return list
}

// theirs is what llama.cpp's graph has where ours passes another number.
func (m *material) theirs(x mismatch) string {
	g := m.ref.graph[x.steps[0]]
	t, param := x.tap, ""
	switch x.what {
	case "scale":
		param = "scale"
	case "base":
		param = "freq_base"
	case "eps":
		param = "eps"
	default:
		return ""
	}
	n := g.node(t, 0)
	if n == nil {
		return ""
	}
	if param == "eps" { // the norm is the node before the product with its weight
		n = g.Source(n, 0)
	}
	if v, ok := n.Params[param]; ok {
		return fmt.Sprintf("llama.cpp's %s has %s", code(n.Op), codef("%s = %.7g", param, v))
	}
	return ""
}

// openLimits are the differences that this run could not have shown.
func (m *material) openLimits() []check {
	var list []check
	for _, l := range m.NotObservable {
		list = append(list, check{false, fmt.Sprintf("Not settled by this run - %s. Why: %s. To see it: %s.", text(l.What), text(l.Why), text(l.Show))})
	}
	return list
}
