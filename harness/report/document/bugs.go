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
