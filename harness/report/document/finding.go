package document

import (
	"fmt"
	"math"
	"strings"

	"attndiff/harness/report"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// bug writes one finding.
func (m *material) bug(p *page, n int, f *report.Finding) {
	p.heading(3, fmt.Sprintf("%d. %s: %s", n, code(f.Tap), text(f.Cause.Title)))
	t, _ := tap.Parse(f.Tap)
	e := f.Evidence
	p.table([]string{"", ""}, [][]string{
		{"what", fmt.Sprintf("%s (%s): recomputed from its own recorded inputs it comes out different. %s.", code(f.Tap), text(t.Meaning()), text(capital(e.Why)))},
		{"severity", string(f.Severity)},
		{"where", m.where(f)},
		{"since", capital(strings.TrimPrefix(m.since(*f), ", since "))},
		{"shows in", strings.TrimSuffix(report.Ranges("layer", f.Layers)+", "+report.Ranges("step", f.Steps), ", ") + fmt.Sprintf(": %d of %d recordings", e.Recordings, e.Of)},
	})
	p.para("**Evidence.** The worst recording is %s; its worst element is %s.", text(report.Where(f.Tap, e.Layer, e.Step)), text(report.Coordinates(f.Tap, e.Index)))
	p.table([]string{"", "value there", "off by (NMSE)"}, m.figures(&e))
	if len(e.Composed) > 0 {
		p.para("Ours did not record %s; the ops in between were recomputed together, so the mistake may be in any of them.", code(strings.Join(e.Composed, ", ")))
	}
	if len(e.Observed) > 0 {
		p.para("What the difference looks like:")
		var items []string
		for _, o := range e.Observed {
			items = append(items, text(o)+".")
		}
		p.bullets(items...)
	}
	p.para("**Cause.** %s.%s", text(capital(f.Cause.Title)), m.causeText(f))
	if calls := m.callsOf(t); len(calls) > 0 {
		p.para("The call itself shows it:")
		p.bullets(calls...)
	}
	p.para("**Symptom.** %s", m.symptom(f))
	m.codeOf(p, t)
	if f.Reference.File != nil && len(f.Reference.Snippet) > 0 {
		p.para("llama.cpp calls for the op at %s:", codef("%s:%d", *f.Reference.File, *f.Reference.Line))
		p.fence("cpp", strings.Join(f.Reference.Snippet, "\n"))
	}
	if k := f.Reference.CUDA; k != nil && k.File != nil {
		p.para("llama.cpp's CUDA kernel for the op is %s at %s; its lines are in [%s](%s).", code(*k.Symbol), codef("%s:%d", *k.File, *k.Line), FixPlan, FixPlan)
	}
}

// figures are the three voices at a finding's worst element, and how far off
// each side is; a voice that is not there is left out.
func (m *material) figures(e *report.Evidence) [][]string {
	value := func(n report.Number) string { return fmt.Sprintf("%.9g", float64(n)) }
	ours := []string{"ours", value(e.Ours), "not finite"}
	switch {
	case !math.IsNaN(float64(e.OpOurs)):
		ours[2] = fmt.Sprintf("%s against the op recomputed; allowed %s", e.OpOurs, e.Allowance)
	case !math.IsNaN(float64(e.Drift)):
		ours[2] = fmt.Sprintf("%s from llama.cpp; allowed %s", e.Drift, e.Allowance)
	}
	rows := [][]string{ours}
	if !math.IsNaN(float64(e.Reference)) {
		off := ""
		if !math.IsNaN(float64(e.OpRef)) {
			off = e.OpRef.String() + " against the op recomputed from its own inputs"
		}
		rows = append(rows, []string{"llama.cpp", value(e.Reference), off})
	}
	if !math.IsNaN(float64(e.Oracle)) {
		drift := ""
		if !math.IsNaN(float64(e.Drift)) {
			drift = fmt.Sprintf("drift between ours and llama.cpp: %s", e.Drift)
		}
		rows = append(rows, []string{"recomputed in float64 from ours' inputs", value(e.Oracle), drift})
	}
	return rows
}

// where is the finding's place in our code.
func (m *material) where(f *report.Finding) string {
	if f.Where.File == nil {
		return "In " + text(m.Ours.Engine) + ", whose code is not known here"
	}
	line := 0
	if f.Where.Line != nil {
		line = *f.Where.Line
	}
	s := m.links.code(*f.Where.File, line)
	if f.Where.Function != nil {
		s += ", " + code(*f.Where.Function)
	}
	return s
}

// since is the first wrong recording of a finding, as ", since ...".
func (m *material) since(f report.Finding) string {
	for i := range m.Taps {
		t := &m.Taps[i]
		if t.Tap == f.Tap && t.Status == verdict.Introduced {
			at := fmt.Sprintf("step %d (%s)", t.Step, report.Phase(t.Step))
			if t.Layer != nil {
				at += fmt.Sprintf(", layer %d", *t.Layer)
			}
			return ", since " + at
		}
	}
	return ""
}

// causeText says how sure a cause is, with its figures.
func (m *material) causeText(f *report.Finding) string {
	c := f.Cause
	if c.Status == "unexplained" {
		s := " No known mistake reproduces ours."
		if c.RunnerUp != "" {
			s += fmt.Sprintf(" The nearest, %s, leaves %s.", code(c.RunnerUp), c.RunnerUpResidual)
		}
		return s
	}
	if math.IsNaN(float64(c.Residual)) { // nothing was recomputed
		return " " + capital(c.Status) + "."
	}
	s := fmt.Sprintf(" %s: recomputing the op with this mistake leaves %s of what ours recorded", capital(c.Status), c.Residual)
	if c.RunnerUp != "" {
		s += fmt.Sprintf("; the next best explanation, %s, leaves %s", code(c.RunnerUp), c.RunnerUpResidual)
	}
	return s + fmt.Sprintf(" (NMSE; the allowance is %s).", f.Evidence.Allowance)
}

// callsOf lists what ours passed to a tap's call where the model calls for
// something else.
func (m *material) callsOf(t tap.Tap) []string {
	var list []string
	for _, x := range m.audit {
		if x.tap != t {
			continue
		}
		s := x.String()
		if len(x.layers) > 0 {
			s += " in " + report.Ranges("layer", x.layers)
		}
		if theirs := m.theirs(x); theirs != "" {
			s += "; " + theirs
		}
		list = append(list, s+".")
	}
	return list
}

// symptom says what a reader of the generated text sees.
func (m *material) symptom(f *report.Finding) string {
	size := "What the op gives is not finite."
	if e := float64(f.Evidence.OpOurs); !math.IsNaN(e) && !math.IsInf(e, 0) {
		size = fmt.Sprintf("The op is off by %s of its signal (the root of the NMSE).", percent(math.Sqrt(e)))
	}
	if len(m.Findings) > 1 {
		return size + " All findings act together on the text: " + m.agreement() + "."
	}
	return size + " " + capital(m.said()) + "."
}

// percent spells a share with two digits.
func percent(share float64) string {
	switch x := 100 * share; {
	case x >= 10 && x < 1e5:
		return fmt.Sprintf("%.0f %%", x)
	default:
		return fmt.Sprintf("%.2g %%", x)
	}
}

// said compares the texts of both sides.
func (m *material) said() string {
	s := m.agreement()
	if m.Text.Reference != m.Text.Ours {
		s += fmt.Sprintf(": llama.cpp says %s, ours %s", code(clip(m.Text.Reference, 120)), code(clip(m.Text.Ours, 120)))
	}
	return s
}

// codeOf shows the code that computes a tap, as it ran.
func (m *material) codeOf(p *page, t tap.Tap) {
	m.callOf(p, t)
	if list := m.ourCode(t); len(list) > 0 {
		p.para("The code, as it was compiled:")
		p.block(codeBlock(list))
	}
}

// callOf shows what ran for a tap: in the first step and layer in which the
// call is not what the model calls for, else in the first of all.
func (m *material) callOf(p *page, t tap.Tap) {
	step, layer := -1, -1
	for _, x := range m.audit {
		if x.tap == t && step < 0 {
			step = x.steps[0]
			if len(x.layers) > 0 {
				layer = x.layers[0]
			}
		}
	}
	for _, l := range m.ours.launches {
		if l == nil || step >= 0 && l.Step != step {
			continue
		}
		for i := range l.List {
			op := &l.List[i]
			if op.Tap != t.String() || layer >= 0 && op.Layer != layer {
				continue
			}
			at := l.Phase()
			if op.Layer >= 0 {
				at += fmt.Sprintf(", layer %d", op.Layer)
			}
			p.para("What ran (%s): %s.", at, m.opText(op))
			return
		}
	}
}
