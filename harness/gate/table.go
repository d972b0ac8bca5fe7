package gate

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"attndiff/harness/report"
)

// shownCases bounds the table: of a larger matrix only what did not pass is
// listed.
const shownCases = 100

// Print writes the part for a person: a line per case, then every problem with
// where to look and how to see it again. out is the folder of the outputs.
func (p *Part) Print(w io.Writer, out string) error {
	to := bufio.NewWriter(w)
	t := table{to, p, out}
	t.head()
	t.cases()
	t.problems()
	t.foot()
	return to.Flush()
}

// table writes one part; errors stay in its buffered writer until Flush.
type table struct {
	to io.Writer
	*Part
	out string
}

func (t table) line(format string, args ...any) {
	fmt.Fprintln(t.to, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

func (t table) head() {
	t.line("gate %s  %s", t.Verdict, t.tally())
	t.line("matrix    %s%s", t.Matrix.File, t.share())
	if len(t.Faults) > 0 {
		t.line("planted   %s", strings.Join(t.Faults, ", "))
	}
	t.line("reference llama.cpp %s, kernels %s", t.Program.Llama, shortened(t.Program.Kernels))
	t.line("")
}

// tally counts the cases by word.
func (p *Part) tally() string {
	var parts []string
	for _, w := range []Word{Pass, Fail, Crashed, Skipped} {
		if n := p.count(w); n > 0 || w == Pass {
			parts = append(parts, fmt.Sprintf("%d %s", n, w))
		}
	}
	return strings.Join(parts, ", ")
}

// share says which part of the matrix this is, "" for the whole.
func (p *Part) share() string {
	s := ""
	if p.Shard.Of > 1 {
		s += fmt.Sprintf(", shard %s", p.Shard)
	}
	if len(p.Only) > 0 {
		s += ", only " + strings.Join(p.Only, ",")
	}
	return s
}

func (t table) cases() {
	list := t.all()
	passed := 0
	if len(list) > shownCases {
		passed = t.count(Pass)
		list = slices.DeleteFunc(list, func(r *Result) bool { return r.Verdict == Pass })
	}
	wide := len("case")
	for _, r := range list {
		wide = max(wide, len(r.Name))
	}
	wide = min(wide, 46)
	t.line("%-*s %-7s %-13s %8s %8s  %s", wide, "case", "verdict", "nearest op", "error", "allowed", "grown most")
	reasons := map[string]int{}
	for _, r := range list {
		if r.Verdict == Skipped {
			reasons[r.Reason]++
			continue
		}
		verdict := string(r.Verdict)
		if r.Verdict == Crashed {
			verdict = "died"
		}
		nearest, grown := fmt.Sprintf("%-13s %8s %8s", r.Nearest.Tap, r.Nearest.OpOurs, r.Nearest.Allowance), ""
		if r.Nearest.Tap == "" {
			nearest = fmt.Sprintf("%-13s %8s %8s", "", "", "")
		}
		if r.Growth.Tap != "" {
			grown = fmt.Sprintf("%.3g %s", float64(r.Growth.Times), r.Growth.Tap)
		}
		t.line("%-*s %-7s %s  %s", wide, r.Name, verdict, nearest, grown)
	}
	if passed > 0 {
		t.line("%d more pass", passed)
	}
	for _, reason := range sortedKeys(reasons) {
		t.line("%d skipped: %s", reasons[reason], reason)
	}
}

func (t table) problems() {
	for _, r := range t.all() {
		failing := r.failing()
		if len(failing) > 0 {
			t.line("\n%s", r.Name)
		}
		for _, p := range failing {
			t.wrapped("  "+string(p.Kind)+": ", p.String())
			if p.Cause != "" {
				t.wrapped("    cause: ", p.Cause)
			}
			if p.Where != nil && p.Where.File != nil {
				t.line("    where: %s", p.Where)
			}
		}
		if len(failing) > 0 {
			for _, n := range r.Notes {
				if r.Name == (Golden{Name: strings.TrimPrefix(r.Name, "golden/")}).String() {
					t.wrapped("    note: ", n)
				}
			}
			if r.Files != "" {
				t.line("    report: %s", filepath.Join(t.out, r.Files))
			}
			t.line("    reproduce: %s", r.Rerun)
		}
	}
	if len(t.General) > 0 {
		t.line("")
	}
	for _, p := range t.General {
		t.wrapped("stale: ", p.Text)
	}
}

// wrapped writes text after a label, continued below it, within 100 columns.
func (t table) wrapped(label, text string) {
	for i, part := range report.Wrap(text, 99-len(label)) {
		if i > 0 {
			label = strings.Repeat(" ", len(label))
		}
		t.line("%s%s", label, part)
	}
}

func (t table) foot() {
	waived := map[int]int{}
	for _, r := range t.all() {
		for _, p := range r.Problems {
			if p.Waiver != nil {
				waived[*p.Waiver]++
			}
		}
	}
	for i := range t.Known {
		if n := waived[i]; n > 0 {
			w := &t.Known[i]
			t.wrapped("waived: ", fmt.Sprintf("%s until %s, %d times: %s", w.Tap, w.Expires, n, w.Reason))
		}
	}
	for _, r := range t.Goldens {
		for _, n := range r.Notes {
			if r.Verdict == Pass {
				t.wrapped(r.Name+": ", n+"; no tap moved")
			}
		}
	}
	seconds := 0.0
	for _, r := range t.all() {
		seconds += r.Seconds
	}
	if !math.IsNaN(seconds) && len(t.all()) > 0 {
		t.line("\n%d cases and goldens, %.0f s of work; outputs in %s", len(t.all()), seconds, t.out)
	}
}
