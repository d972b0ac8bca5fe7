package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"attndiff/harness/session"
)

// write puts mutants.md and mutants.json into a folder, each whole or not at
// all.
func (r *Results) write(dir string) error {
	work, err := session.NewWorkspace(dir)
	if err != nil {
		return err
	}
	defer work.Close()
	var md, js bytes.Buffer
	r.markdown(&md)
	if err := r.json(&js); err != nil {
		return err
	}
	for name, raw := range map[string][]byte{"mutants.md": md.Bytes(), "mutants.json": js.Bytes()} {
		file := filepath.Join(work.Dir(), name)
		if err := os.WriteFile(file, raw, 0o644); err != nil {
			return err
		}
		if _, err := work.Keep(file, name); err != nil {
			return err
		}
	}
	return nil
}

// json writes the results with one line for each mutant.
func (r *Results) json(w io.Writer) error {
	head := *r
	head.Findings = nil
	raw, err := encode(head)
	if err != nil {
		return err
	}
	rest, _ := bytes.CutSuffix(raw, []byte("null}"))
	var b bytes.Buffer
	b.Write(append(rest, '['))
	for i, f := range r.Findings {
		line, err := encode(f)
		if err != nil {
			return err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  ")
		b.Write(line)
	}
	b.WriteString("\n]}\n")
	_, err = b.WriteTo(w)
	return err
}

// encode is JSON in which < and & of C++ stay readable.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// markdown writes the results as tables and lists.
func (r *Results) markdown(w io.Writer) {
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	line("# The harness against mutants of the kernels")
	line("")
	line("Written by `make mutants`. Each mutant is one small change of `ours/kernels`, compiled for the emulator and run on")
	line("small models beside llama.cpp. It is *killed* when the verdict is divergence, an op errs so much more than unchanged")
	line("that the gate fails, the emulator reports a kernel, another order of threads gives other bits, or the run crashes or")
	line("hangs; *located* when what was said names the kernel or a tap it computes. *Equivalent* mutants change no result: the")
	line("compiler makes the same code of them, or [equivalent.txt](../scripts/mutate/equivalent.txt) says why.")
	line("")
	if r.Only != "*" {
		line("These are the mutants of the files that match `%s` alone.", r.Only)
		line("")
	}
	if len(r.Drawn) > 0 {
		var list []string
		for _, d := range r.Drawn {
			list = append(list, fmt.Sprintf("%d of %d of %s", d.Here, d.Of, d.File))
		}
		line("Not every change is here, but a number drawn evenly: %s.", strings.Join(list, ", "))
		line("")
	}
	r.table(w, "file", r.Files)
	line("")
	r.table(w, "kind of change", r.Kinds)
	line("")
	line("Of %d changes tried, %d do not compile and %d compile to the same code.", len(r.Findings), r.Invalid, r.Fates[SameCode])
	line("Killed by: divergence %d, the gate alone %d, the emulator's report alone %d, other bits in another order of threads %d, crash %d, hang %d.",
		r.Fates[Divergence], r.Fates[Grown], r.Fates[Reported], r.Fates[Unstable], r.Fates[Crashed], r.Fates[Hung])
	line("")
	if len(r.Verdict) == 0 {
		line("These mutants meet the bar: at least %.0f %% of the mutants that are not equivalent are killed, %.0f %% of the killed located.",
			100*killedWanted, 100*locatedWanted)
	}
	for _, v := range r.Verdict {
		line("- falls short: %s", v)
	}
	r.list(w, "Survived", func(f *Finding) bool { return f.Fate == Survived && f.Reason == "" }, func(f *Finding) string {
		switch {
		case f.What != "":
			return f.What
		case f.Changes == "":
			return "changes no bit of any trial"
		}
		return "changes bits, first " + f.Changes
	})
	r.list(w, "Killed and not located", func(f *Finding) bool { return f.Fate.killed() && !f.Located }, func(f *Finding) string { return f.What })
	r.list(w, "Equivalent", func(f *Finding) bool { return f.Fate == Survived && f.Reason != "" }, func(f *Finding) string { return f.Reason })
}

// table writes counts by name, and their sum.
func (r *Results) table(w io.Writer, head string, rows map[string]Count) {
	fmt.Fprintf(w, "| %s | mutants | equivalent | killed | of the rest | located | of the killed | survived |\n|%s\n", head, strings.Repeat("---|", 8))
	row := func(name string, c Count) {
		fmt.Fprintf(w, "| %s | %d | %d | %d | %s | %d | %s | %d |\n", name, c.Mutants, c.Equivalent,
			c.Killed, percent(c.Killed, c.Mutants-c.Equivalent), c.Located, percent(c.Located, c.Killed), c.Survived)
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		row(name, rows[name])
	}
	row("all", r.All)
}

// list writes the mutants of one sort, file by file, each with a remark.
func (r *Results) list(w io.Writer, title string, is func(*Finding) bool, remark func(*Finding) string) {
	found := r.where(is)
	if len(found) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## %s\n", title)
	file := ""
	for _, f := range found {
		if f.File != file {
			file = f.File
			fmt.Fprintf(w, "\n%s\n\n", file)
		}
		to := f.To
		if to == "" {
			to = dropped
		}
		fmt.Fprintf(w, "- line %d, `%s` to `%s`: %s\n", f.Line, f.From, to, remark(f))
	}
}
