package exam

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"attndiff/harness/report"
)

// Write writes faults.json and faults.md into a folder, each whole or not at
// all.
func (r *Results) Write(dir string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var md strings.Builder
	if err := r.Markdown(&md); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for name, text := range map[string][]byte{"faults.json": append(raw, '\n'), "faults.md": []byte(md.String())} {
		if err := replace(filepath.Join(dir, name), text); err != nil {
			return err
		}
	}
	return nil
}

// replace writes a file beside its place and moves it there.
func replace(path string, text []byte) error {
	return report.Whole(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// kinds are the kinds of cases as tables list them.
var kinds = []struct {
	kind Kind
	name string
}{{Single, "one fault"}, {Pair, "pairs"}, {Triple, "triples"}, {Clean, "clean"}}

// Markdown writes the results as tables.
func (r *Results) Markdown(w io.Writer) error {
	p := &page{w: w}
	p.line("# The harness against planted faults")
	p.line("")
	p.line("Written by `attndiff faults run` (%s; seed %d).", r.Scope, r.Seed)
	p.line("")
	p.line("A fault counts where it shows: where some recording of ours differs from that of the same run without the fault by more")
	p.line("than the op's allowance. *Right place* is every such layer and step; for a fault alone, the first divergence too. A *cause*")
	p.line("is named for each op that a fault makes wrong; it counts as *equal* where another is named and the right one is listed as")
	p.line("doing just as well on that run's data, as a tile of 32 and a tile of 64 do on 20 tokens.")
	p.line("")
	p.table([]string{"cases", "runs", "faults", "show", "detected", "right op", "right place", "causes right", "equal", "proven", "likely", "unexplained", "false alarms", "engine failed"})
	for _, k := range kinds {
		t, ok := r.Kinds[k.kind]
		if !ok {
			continue
		}
		p.row(k.name, t.Cases, t.Members, t.Shown, share(t.Detected, t.Shown), share(t.Op, t.Shown), share(t.Place, t.Shown),
			share(t.Right, t.Causes), t.Equal, t.Proven, t.Likely, t.Unexplained, t.Alarms, t.Failed)
	}
	p.line("")
	if len(r.Verdict) == 0 {
		p.line("The bar is met: every fault that shows is found at its op, no false alarm, at least %.0f %% of causes right or equal.", 100*causesWanted)
	}
	for _, v := range r.Verdict {
		p.line("- below the bar: %s", v)
	}
	p.line("")
	p.line("## Each fault alone")
	p.line("")
	p.table([]string{"fault", "tap", "runs", "show", "detected", "right op", "right place", "causes right", "equal", "proven", "likely", "unexplained", "false alarms"})
	for _, row := range r.Faults {
		p.row(row.Fault, row.Tap, row.Cases, row.Shown, share(row.Detected, row.Shown), share(row.Op, row.Shown), share(row.Place, row.Shown),
			share(row.Right, row.Causes), row.Equal, row.Proven, row.Likely, row.Unexplained, row.Alarms)
	}
	p.line("")
	p.line("## Where faults do not show")
	p.line("")
	for _, row := range r.Faults {
		for _, h := range row.Hidden {
			p.line("- %s on %s: %s", h.Fault, strings.Join(h.On, ", "), h.Why)
		}
	}
	for _, h := range r.Hidden {
		p.line("- %s beside %s on %s: %s", h.Fault, strings.Join(h.With, " and "), strings.Join(h.On, ", "), h.Why)
	}
	for _, part := range []struct {
		title string
		list  []Miss
	}{{"Missed", r.Missed}, {"Wrong causes", r.Wrong}, {"False alarms", r.Alarms}, {"Engine failed", r.Failed}} {
		if len(part.list) == 0 {
			continue
		}
		p.line("")
		p.line("## %s", part.title)
		p.line("")
		for _, m := range part.list {
			p.line("- %s: %s", m.Case, m.What)
		}
	}
	return p.err
}

// page writes lines and remembers the first error.
type page struct {
	w   io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *page) table(head []string) {
	p.line("| %s |", strings.Join(head, " | "))
	p.line("|%s", strings.Repeat("---|", len(head)))
}

func (p *page) row(cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		text[i] = fmt.Sprint(c)
	}
	p.line("| %s |", strings.Join(text, " | "))
}

// share prints a count of a whole, "all" where nothing lacks.
func share(n, of int) string {
	switch {
	case of == 0:
		return "-"
	case n == of:
		return "all"
	}
	return fmt.Sprintf("%d of %d", n, of)
}
