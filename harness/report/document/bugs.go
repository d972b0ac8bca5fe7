package document

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"attndiff/harness/report"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// ranked are the findings, the most severe first: by severity, then by the
// op's error.
func (m *material) ranked() []report.Finding {
	list := slices.Clone(m.Findings)
	grade := []report.Severity{report.Critical, report.High, report.Medium}
	size := func(f report.Finding) float64 {
		e := float64(f.Evidence.OpOurs)
		if math.IsNaN(e) {
			e = float64(f.Evidence.Drift)
		}
		if math.IsNaN(e) {
			return math.Inf(1)
		}
		return e
	}
	slices.SortStableFunc(list, func(a, b report.Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(grade, a.Severity), slices.Index(grade, b.Severity)), cmp.Compare(size(b), size(a)))
	})
	return list
}

// bugs writes ATTENTION_BUGS_FOUND.md.
func (m *material) bugs() string {
	p := &page{}
	p.heading(1, "Attention Bugs Found")
	m.facts(p, false)
	list := m.ranked()
	if len(list) == 0 {
		m.noBugs(p)
	} else {
		p.heading(2, "Summary: the top 3")
		if len(list) < 3 {
			p.para("%s in this run.", capital(plural(len(list), "op")+map[bool]string{true: " is", false: " are"}[len(list) == 1]+" wrong"))
		} else if len(list) > 3 {
			p.para("%d ops are wrong in this run; these weigh most.", len(list))
		}
		var items []string
		for _, f := range list[:min(3, len(list))] {
			items = append(items, fmt.Sprintf("**%s** - %s. %s, %s. %s", code(f.Tap), text(f.Cause.Title), capital(string(f.Severity)), f.Cause.Status, text(f.Fix)))
		}
		p.steps(items...)
		p.para("%s.", capital(m.said()))
		p.heading(2, "Findings")
		for i := range list {
			m.bug(p, i+1, &list[i])
		}
		m.inheriting(p)
	}
	m.odd(p)
	m.unseen(p)
	return p.b.String()
}

// noBugs says that nothing is wrong and what was looked at.
func (m *material) noBugs(p *page) {
	p.heading(2, "Summary: the top 3")
	p.para("No bug was found: %s, and %s.", m.counted(), m.agreement())
	for _, x := range m.audit {
		p.para("One thing to look at all the same: the call that computes %s has %s. It changes no recording of this run.", code(x.tap.String()), x)
	}
	p.heading(2, "What was checked")
	if m.Oracle {
		p.para("Every op of every layer and step, recomputed in float64 from ours' own recorded inputs; caches, masked probabilities and embedding rows must be exact, rows of the softmax must sum to 1. The worst recording of each tap:")
	} else {
		p.para("The drift between both sides alone, without a model; ops were not recomputed. The worst recording of each tap:")
	}
	m.checked(p)
}

// checked is the table of taps with their worst recordings.
func (m *material) checked(p *page) {
	count := map[string]int{}
	for i := range m.Taps {
		count[m.Taps[i].Tap]++
	}
	var rows [][]string
	for _, t := range tap.All() {
		worst, status := m.worst(t)
		if worst == nil {
			continue
		}
		rows = append(rows, []string{code(t.String()), text(t.Meaning()), fmt.Sprint(count[t.String()]), string(status), amount(worst), measure(worst.OpRef), measure(worst.Allowance)})
	}
	p.table([]string{"tap", "op", "recordings", "status", "ours is off by", "llama.cpp by", "allowed"}, rows)
}

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

// inheriting lists the ops that are right and carry an error on.
func (m *material) inheriting(p *page) {
	var names []string
	for _, t := range tap.All() {
		if _, status := m.worst(t); status == verdict.Inherited {
			names = append(names, code(t.String()))
		}
	}
	if len(names) > 0 {
		p.heading(2, "Right, on inputs that are not")
		p.para("These ops only carry the error on; each, recomputed from what ours fed it, is right: %s.", prose(names))
	}
}

// odd lists what looks like a bug and is none.
func (m *material) odd(p *page) {
	if len(m.Cleared) == 0 {
		return
	}
	p.heading(2, "Looks odd and is right")
	p.para("llama.cpp has each of these too.")
	var rows [][]string
	for _, c := range m.Cleared {
		at := text(report.Where(c.Where.Tap, c.Where.Layer, c.Where.Step))
		if len(c.Where.Index) > 0 {
			at += ", " + text(report.Coordinates(c.Where.Tap, c.Where.Index))
		}
		rows = append(rows, []string{text(c.What), at, fmt.Sprintf("%.7g", float64(c.Ours)), fmt.Sprintf("%.7g", float64(c.Reference)), text(c.Why)})
	}
	p.table([]string{"what", "where", "ours", "llama.cpp", "why it is fine"}, rows)
}

// mostNamed bounds how many mistakes are named of one limit; report.json has
// all.
const mostNamed = 6

// unseen lists what this run could not have shown.
func (m *material) unseen(p *page) {
	if len(m.NotObservable) == 0 {
		return
	}
	p.heading(2, "Not observable in this run")
	p.para("Mistakes of these kinds would change nothing here, so their absence is not shown.")
	var rows [][]string
	for _, l := range m.NotObservable {
		names := strings.Join(l.Mistakes[:min(mostNamed, len(l.Mistakes))], ", ")
		if n := len(l.Mistakes) - mostNamed; n > 0 {
			names += fmt.Sprintf(" and %d more", n)
		}
		rows = append(rows, []string{text(l.What), text(l.Why), text(l.Show), text(names)})
	}
	p.table([]string{"what", "why it does not show", "what would show it", "mistakes tried"}, rows)
}
