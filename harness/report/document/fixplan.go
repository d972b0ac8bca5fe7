package document

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"attndiff/harness/report"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// fixPlan writes ATTENTION_FIX_PLAN.md.
func (m *material) fixPlan() string {
	p := &page{}
	p.heading(1, "Attention Fix Plan")
	m.facts(p, false)
	list := m.ranked()
	if len(list) == 0 {
		m.nothingToFix(p)
		return p.b.String()
	}
	p.para("%s to make, worst first. Each op was judged alone, from its own inputs, so the changes do not depend on each other and can be made in any order.", capital(plural(len(list), "change")))
	n := 0
	for _, s := range []struct {
		severity report.Severity
		title    string
	}{{report.Critical, "Critical"}, {report.High, "High"}, {report.Medium, "Medium"}} {
		first := true
		for i := range list {
			if list[i].Severity != s.severity {
				continue
			}
			if first {
				p.heading(2, s.title)
				first = false
			}
			n++
			m.fix(p, n, &list[i])
		}
	}
	p.heading(2, "When all are made")
	m.afterAll(p)
	return p.b.String()
}

// fix writes one change.
func (m *material) fix(p *page, n int, f *report.Finding) {
	t, _ := tap.Parse(f.Tap)
	p.heading(3, fmt.Sprintf("%d. %s: %s", n, code(f.Tap), text(f.Cause.Title)))
	p.para("**Change.** %s", text(f.Fix))
	if f.Cause.Status != "proven" {
		p.para("The cause is %s, not proven: look at the code before changing it.", f.Cause.Status)
	}
	p.para("**Where.** %s.", m.where(f))
	p.heading(4, "As it is")
	m.asItIs(p, t)
	p.heading(4, "As it should be")
	m.asItShouldBe(p, t, f)
	p.heading(4, "Verify")
	m.verify(p, f)
}

// asItIs shows the code that ran.
func (m *material) asItIs(p *page, t tap.Tap) {
	before := p.b.Len()
	m.codeOf(p, t)
	if p.b.Len() == before {
		p.para("The code of %s is not known here; its trace tells what came out, not what ran.", text(m.Ours.Engine))
	}
}

// asItShouldBe shows what the op must compute: the call's numbers where they
// are what is wrong, the op's definition, llama.cpp's lines.
func (m *material) asItShouldBe(p *page, t tap.Tap, f *report.Finding) {
	var diff []string
	for _, x := range m.audit {
		if x.tap != t {
			continue
		}
		what := x.what
		if slices.ContainsFunc(m.audit, func(o mismatch) bool { return o.tap == t && o.what == x.what && o.got+o.want != x.got+x.want }) {
			what += ", " + report.Ranges("layer", x.layers)
		}
		diff = append(diff, fmt.Sprintf("- %s = %s", what, x.got), fmt.Sprintf("+ %s = %s", what, x.want))
	}
	if diff != nil {
		p.para("In the call:")
		p.fence("diff", strings.Join(diff, "\n"))
		p.para("What the call must compute, with this model's sizes:")
	} else {
		p.para("What the code must compute, with this model's sizes:")
	}
	p.fence("cpp", m.definition(t))
	if a := f.Reference.Arithmetic; a != nil && a.File != nil && len(a.Snippet) > 0 {
		p.para("llama.cpp's arithmetic (%s, %s):", codef("%s:%d", *a.File, *a.Line), code(*a.Symbol))
		p.fence("cpp", strings.Join(a.Snippet, "\n"))
	} else if f.Reference.File != nil && len(f.Reference.Snippet) > 0 {
		p.para("llama.cpp (%s):", codef("%s:%d", *f.Reference.File, *f.Reference.Line))
		p.fence("cpp", strings.Join(f.Reference.Snippet, "\n"))
	}
	if k := f.Reference.CUDA; k != nil && k.File != nil {
		p.heading(4, "llama.cpp's CUDA kernel")
		p.para("%s, %s:", codef("%s:%d", *k.File, *k.Line), code(*k.Symbol))
		explained(p, k.Snippet, k.Note)
	}
}

// planted is the flag that plants mistakes, in a command line.
var planted = regexp.MustCompile(` --?fault[= ]\S+`)

// command is the command that shows whether a change worked, with what to do
// before it.
func (m *material) command() (before, command string) {
	switch {
	case planted.MatchString(m.Rerun):
		return "The mistakes were planted with `--fault`; without it the command runs the kernels as they are in the repository:", planted.ReplaceAllString(m.Rerun, "")
	case strings.Contains(m.Rerun, "trace:") && !strings.HasPrefix(m.Ours.Engine, "ours:"), strings.Contains(m.Rerun, "attndiff compare "):
		return "Record ours again with the change, under the same file name, then:", m.Rerun
	}
	return "", m.Rerun
}

// verify says how to see that a change worked.
func (m *material) verify(p *page, f *report.Finding) {
	before, command := m.command()
	if before != "" {
		p.para("%s", before)
	}
	p.fence("sh", command)
	p.para("Expect the row of %s to turn from `introduced` to `ok`: its error from %s to at most %s, in all %d recordings. %s",
		code(f.Tap), findingError(f), f.Evidence.Allowance, f.Evidence.Of, m.downstream(f))
}

// downstream says which ops wait for a finding.
func (m *material) downstream(f *report.Finding) string {
	n := 0
	after := false
	for i := range m.Taps {
		t := &m.Taps[i]
		after = after || t.Tap == f.Tap && t.Status == verdict.Introduced
		if after && t.Status == verdict.Inherited {
			n++
		}
	}
	switch {
	case n == 0:
		return "Nothing that ran after it inherits its error."
	case len(m.Findings) == 1:
		return fmt.Sprintf("The %s that ran after it and inherit its error turn `ok` with it.", plural(n, "recording"))
	}
	return fmt.Sprintf("The %s that ran after it and inherit an error get closer to llama.cpp, and turn `ok` once the other findings that feed them are mended too.", plural(n, "recording"))
}

// afterAll says what the whole run looks like then.
func (m *material) afterAll(p *page) {
	_, command := m.command()
	p.fence("sh", command)
	text := "exit status 0 and `parity`: no op introduced, none inherited"
	if len(m.Tokens.Reference) > 0 {
		text += fmt.Sprintf(", and ours says what llama.cpp says: %s", code(clip(m.Text.Reference, 200)))
		if m.Text.Reference == "" {
			text = "exit status 0 and `parity`: no op introduced, none inherited, and the same tokens as llama.cpp"
		}
	}
	p.para("Expect %s.", text)
	if len(m.NotObservable) > 0 {
		p.para("Then run what this run could not show: the list is in [%s](%s).", Bugs, Bugs)
	}
}

// nearest is how many ops are listed as closest to their allowance.
const nearest = 8

// nothingToFix says so, and which ops are nearest to being wrong.
func (m *material) nothingToFix(p *page) {
	p.heading(2, "Nothing to fix")
	p.para("No op is wrong in this run: %s, and %s.", m.counted(), m.agreement())
	var worst []*report.Tap
	for _, t := range tap.All() {
		if w, _ := m.worst(t); w != nil && w.Excess() > 0 {
			worst = append(worst, w)
		}
	}
	if len(worst) > 0 {
		slices.SortStableFunc(worst, func(a, b *report.Tap) int { return cmp.Compare(b.Excess(), a.Excess()) })
		var rows [][]string
		for _, w := range worst[:min(nearest, len(worst))] {
			rows = append(rows, []string{code(w.Tap), text(report.Where(w.Tap, w.Layer, w.Step)), amount(w), measure(w.Allowance), fmt.Sprintf("%.2g %%", 100*w.Excess())})
		}
		p.heading(2, "Nearest to their allowance")
		p.para("The worst recording of each op, the nearest first. A change that brings one of them past 100 %% is a finding.")
		p.table([]string{"op", "recording", "off by", "allowed", "share used"}, rows)
	}
	if len(m.NotObservable) > 0 {
		p.heading(2, "Not shown by this run")
		var items []string
		for _, l := range m.NotObservable {
			items = append(items, fmt.Sprintf("%s. To see it: %s.", text(l.What), text(l.Show)))
		}
		p.bullets(items...)
	}
	p.heading(2, "Verify")
	p.fence("sh", m.Rerun)
	p.para("Expect exit status 0 and `parity` again.")
}
