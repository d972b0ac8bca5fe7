package main

import (
	"fmt"
	"slices"
	"strings"

	"attndiff/ours/kernels"
)

// mutant is one change of one kernel file.
type mutant struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Kind string `json:"kind"` // what sort of change: "compare", "stride"
	From string `json:"from"` // the line before, without comment and indentation
	To   string `json:"to"`   // and after; "" when it is gone

	At   int    `json:"-"` // offset in the file
	Next string `json:"-"` // the lines of code after it, as From is the line
	Old  string `json:"-"`
	New  string `json:"-"`
}

// String says what is changed where.
func (m mutant) String() string {
	to := m.To
	if to == "" {
		to = "(dropped)"
	}
	return fmt.Sprintf("%s:%d: %s  ->  %s", m.File, m.Line, m.From, to)
}

// apply returns the kernels with the mutant in place.
func (m mutant) apply(src kernels.Source) kernels.Source {
	files := src.Files()
	i := slices.IndexFunc(files, func(f kernels.File) bool { return f.Name == m.File })
	files[i].Text = files[i].Text[:m.At] + m.New + files[i].Text[m.At+len(m.Old):]
	return kernels.New(files...)
}

// mutants lists all mutants of the kernels, in order of file and place.
func mutants(src kernels.Source) []mutant {
	var all []mutant
	for _, f := range src.Files() {
		var list []mutant
		made := map[string]bool{} // files that a mutant so far makes
		add := func(kind string, at int, old, new string) {
			m := mutant{File: f.Name, Kind: kind, At: at, Old: old, New: new}
			m.Line = 1 + strings.Count(f.Text[:at], "\n")
			m.From, m.Next = line(f.Text, at), next(f.Text, at)
			text := f.Text[:at] + new + f.Text[at+len(old):]
			m.To = line(text, at)
			if m.From != m.To && !made[text] {
				made[text] = true
				list = append(list, m)
			}
		}
		constants(f, add)
		for _, fn := range functions(f) {
			for _, op := range operators {
				op(f, fn, add)
			}
		}
		slices.SortStableFunc(list, func(a, b mutant) int { return a.At - b.At })
		all = append(all, list...)
	}
	return all
}

// ahead is how many lines tell the places of one line apart.
const ahead = 4

// next is the first lines of code after the line at an offset.
func next(text string, at int) string {
	var list []string
	for len(list) < ahead {
		i := strings.IndexByte(text[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
		if code := line(text, at); code != "" && code[0] != '#' {
			list = append(list, code)
		}
	}
	return strings.Join(list, "\n")
}

// line is the line at an offset, without its comment and indentation.
func line(text string, at int) string {
	start := strings.LastIndexByte(text[:at], '\n') + 1
	end := len(text)
	if i := strings.IndexByte(text[start:], '\n'); i >= 0 {
		end = start + i
	}
	code, _, _ := strings.Cut(text[start:end], "//")
	return strings.TrimSpace(code)
}
