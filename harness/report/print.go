package report

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"attndiff/harness/diagnose"
	"attndiff/harness/verdict"
)

// Print writes the report for a person: verdict, texts, the table of taps and
// layers, the first divergence and every wrong op. Lines of the table fit 100
// columns. path is where report.json lies, with the page beside it.
func (r *Report) Print(w io.Writer, path string, colour bool) error {
	out := bufio.NewWriter(w)
	p := printer{out, painter(colour), r}
	p.head()
	if r.Failure == nil {
		p.unstable()
		if err := r.printGrid(out, p.paint); err != nil {
			return err
		}
		p.legend()
		p.first()
		p.findings()
		p.scope()
	} else {
		p.failure()
	}
	p.notes()
	p.foot(path)
	return out.Flush()
}

// printer writes one report; errors stay in its buffered writer until Flush.
type printer struct {
	out   io.Writer
	paint painter
	*Report
}

func (p printer) line(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// field writes a labelled line, continuing longer text below itself.
func (p printer) field(label, text string) {
	for i, part := range Wrap(text, 86) {
		if i > 0 {
			label = ""
		}
		p.line("%-10s %s", label, part)
	}
}

// after writes text behind a mark of some width, continuing it below itself.
// The mark may hold colours; blank is as wide without.
func (p printer) after(mark, blank, text string) {
	lines := Wrap(text, lineWidth-len(blank))
	p.line("%s%s", mark, lines[0])
	for _, l := range lines[1:] {
		p.line("%*s%s", len(blank)+1, "", l)
	}
}

// lineWidth is how many columns lines of prose have at most.
const lineWidth = 98

func (p printer) head() {
	p.line("%s", p.paint.in(bold, p.paint.outcome(p.Verdict, string(p.Verdict))))
	if m := p.Model; m.NLayer > 0 {
		p.field("model", fmt.Sprintf("%s, %d layers, %d query heads on %d KV heads of %d, KV cache %s",
			m.Name, m.NLayer, m.NHead, m.NHeadKV, m.HeadDim, m.KVType))
	}
	if n := len(p.Prompt.Tokens); n > 0 {
		p.field("prompt", fmt.Sprintf("%s%d tokens, %d decoded", label(p.Prompt.Name), n, len(p.Tokens.Reference)))
	}
	if p.Failure != nil {
		return
	}
	p.field("reference", p.Reference.Engine+" says "+strconv.Quote(p.Text.Reference))
	ours := p.Ours.Engine
	if p.Ours.Faults != nil && len(*p.Ours.Faults) > 0 {
		ours += " with " + strings.Join(*p.Ours.Faults, ", ") + " planted"
	}
	p.field("ours", ours+" says "+strconv.Quote(p.Text.Ours))
	p.line("")
}

func label(name string) string {
	if name == "" {
		return ""
	}
	return name + ", "
}

// unstable comes before everything else: nothing below can be trusted where
// two runs of the same input differ.
func (p printer) unstable() {
	if len(p.Unstable) == 0 {
		return
	}
	p.after(p.paint.in(red, "unstable"), "unstable", fmt.Sprintf(": %d recordings differ between identical runs of ours: a race, or memory read before it is written.",
		len(p.Unstable)))
	const shown = 5
	for _, u := range p.Unstable[:min(shown, len(p.Unstable))] {
		t := Tap{Step: u.Step, Layer: u.Layer}
		p.line("  %-13s %s, in %d runs", u.Tap, t.place(), u.Runs)
	}
	if more := len(p.Unstable) - shown; more > 0 {
		p.line("  and %d more; report.json lists them", more)
	}
	p.line("")
}

// legend explains the symbols that the table uses.
func (p printer) legend() {
	p.line("")
	for _, l := range verdict.Legend {
		if slices.ContainsFunc(p.Taps, func(t Tap) bool { return t.Status == l.Status }) {
			p.after(p.paint.status(l.Status, symbols[l.Status]), " ", fmt.Sprintf(" %s: %s", l.Status, l.Text))
		}
	}
}

func (p printer) first() {
	d := p.First
	if d == nil {
		return
	}
	p.line("")
	p.line("%s  %s", p.paint.in(bold, "first divergence"), p.paint.in(red, Where(d.Tap, d.Layer, d.Step)))
	if len(d.Index) > 0 {
		p.line("  at         %s", Coordinates(d.Tap, d.Index))
	}
	for _, v := range []struct {
		name  string
		value Number
	}{{"ours", d.Ours}, {"reference", d.Reference}, {"oracle", d.Oracle}} {
		if !math.IsNaN(float64(v.value)) || v.name == "ours" && len(d.Index) > 0 {
			p.line("  %-10s %s", v.name, v.value.Value())
		}
	}
	p.after("  why       ", "  why       ", " "+d.Why)
}

func (p printer) findings() {
	if len(p.Findings) == 0 {
		return
	}
	p.line("")
	p.line("%s", p.paint.in(bold, "wrong ops"))
	for i, f := range p.Findings {
		place := Ranges("layer", f.Layers)
		if place != "" {
			place += ", "
		}
		number := fmt.Sprintf("  %d. ", i+1)
		p.after(number+p.paint.in(red, f.Tap), strings.Repeat(" ", len(number+f.Tap)), fmt.Sprintf("  %s  %s%s, %d of %d recordings", f.Severity,
			place, Ranges("step", f.Steps), f.Evidence.Recordings, f.Evidence.Of))
		if !math.IsNaN(float64(f.Evidence.Allowance)) { // else it is no matter of degree
			p.line("     op error %s, allowed %s", f.Evidence.OpOurs.Amount(), f.Evidence.Allowance.Amount())
		}
		if len(f.Evidence.Composed) > 0 {
			p.after("     ", "     ", "judged across "+strings.Join(f.Evidence.Composed, ", ")+", which ours did not record")
		}
		p.indented("cause", f.Cause.Words())
		for _, o := range f.Evidence.Observed {
			p.indented("seen", o)
		}
		if w := f.Where; w.File != nil {
			p.indented("where", w.String())
		}
		if s := f.Reference.String(); s != "" {
			p.indented("as in", s)
		}
		if s := f.Reference.CUDA.String(); s != "" {
			p.indented("cuda", s)
		}
		p.indented("fix", f.Fix)
	}
}

// indented writes a labelled line below a finding.
func (p printer) indented(label, text string) {
	for i, part := range Wrap(text, 86) {
		if i > 0 {
			label = ""
		}
		p.line("     %-6s %s", label, part)
	}
}

// Words says a cause and how sure it is.
func (c Cause) Words() string {
	if c.Status == string(diagnose.Unexplained) {
		return c.Title
	}
	if math.IsNaN(float64(c.Residual)) { // a rule, and not a value, is broken
		return c.Title + " (" + c.Status + ")"
	}
	sure := fmt.Sprintf("%s: recomputing it so leaves %s", c.Status, c.Residual.Amount())
	if c.RunnerUp != "" {
		sure += fmt.Sprintf(", the next best (%s) %s", c.RunnerUp, c.RunnerUpResidual.Amount())
	}
	return c.Title + " (" + sure + ")"
}

func (p printer) failure() {
	f := p.Failure
	p.after("", "", fmt.Sprintf("%s %s during %s", f.Engine, f.Reason, f.Stage))
	if f.At != "" {
		p.line("last tap recorded: %s", f.At)
	}
	for _, l := range f.Stderr {
		p.line("  | %s", l)
	}
}

func (p printer) notes() {
	if len(p.Notes) > 0 {
		p.line("")
	}
	for _, n := range p.Notes {
		p.field("note", n)
	}
}

func (p printer) foot(path string) {
	p.line("")
	if n := len(p.Growth); n > 0 {
		last := p.Growth[n-1]
		p.field("drift", fmt.Sprintf("%s after layer %d of the prompt, %s after layer %d, of which the ops' own errors explain %s",
			p.Growth[0].Drift.Amount(), p.Growth[0].Layer, last.Drift.Amount(), last.Layer, last.Explained.Amount()))
	}
	if t, ok := p.Timing["total"]; ok {
		p.line("%-10s %.1f s: %s", "time", t, p.stages())
	}
	p.line("%-10s %s", "report", path)
	p.line("%-10s %s", "page", filepath.Join(filepath.Dir(path), "report.html"))
	if p.Failure == nil {
		p.line("%-10s %s", "documents", filepath.Join(filepath.Dir(path), "*.md")+": the comparison, the bugs found, the fix plan")
	}
	if p.Verdict != verdict.Parity {
		p.line("%-10s %s", "reproduce", p.Rerun)
	}
}

// stages lists the timing's main stages in the order they ran.
func (p printer) stages() string {
	var parts []string
	for _, s := range []string{"reference", "ours", "compare", "diagnose"} {
		if t, ok := p.Timing[s]; ok {
			parts = append(parts, fmt.Sprintf("%s %.1f", s, t))
		}
	}
	return strings.Join(parts, ", ")
}
