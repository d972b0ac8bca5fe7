package gate

import (
	"fmt"
	"io"
	"strings"
)

// summaryRows bounds the summary's table: GitHub cuts a step's summary off at
// 1 MiB.
const summaryRows = 200

// Summary writes the part as GitHub-flavoured Markdown, for a step's summary.
func (p *Part) Summary(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("### attndiff gate: %s%s", p.Verdict, p.share())
	line("")
	line("%s of `%s`, against llama.cpp %s.", p.tally(), p.Matrix.File, p.Program.Llama)
	line("")
	rows, more := 0, 0
	for _, r := range p.all() {
		for _, problem := range r.failing() {
			if rows == 0 {
				line("| case | problem | what | where |")
				line("|---|---|---|---|")
			}
			if rows++; rows > summaryRows {
				more++
				continue
			}
			where := ""
			if problem.Where != nil {
				where = problem.Where.String()
			}
			line("| %s | %s | %s | %s |", code(r.Name), problem.Kind, escaped(problem.String()), code(where))
		}
	}
	if rows > 0 {
		line("")
	}
	if more > 0 {
		line("and %d more problems; the report has them all.", more)
		line("")
	}
	for _, problem := range p.General {
		line("- %s", escaped(problem.Text))
	}
	if len(p.General) > 0 {
		line("")
	}
	for _, r := range p.all() {
		if failing := r.failing(); len(failing) > 0 {
			line("To see %s again: %s", code(r.Name), code(r.Rerun))
			line("")
			break
		}
	}
	reasons := map[string]int{}
	for _, r := range p.all() {
		if r.Verdict == Skipped {
			reasons[r.Reason]++
		}
	}
	for _, reason := range sortedKeys(reasons) {
		line("- %d skipped: %s", reasons[reason], escaped(reason))
	}
	for _, r := range p.Goldens {
		for _, n := range r.Notes {
			line("- %s: %s", r.Name, escaped(n))
		}
	}
	line("")
	_, err := io.WriteString(w, b.String())
	return err
}

// escaped makes text one cell's plain text.
func escaped(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;", "*", "\\*", "_", "\\_", "`", "'").Replace(text)
}

// code makes text one cell's code.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + strings.NewReplacer("|", "\\|", "\n", " ", "`", "'").Replace(text) + "`"
}
