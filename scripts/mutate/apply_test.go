package main

import (
	"testing"

	"attndiff/ours/kernels"
)

// TestApply puts every mutant in place: it must change its own file at its own
// line and nothing else, and taking it back must give the original.
func TestApply(t *testing.T) {
	clean := kernels.Default()
	list := mutants(clean)
	if len(list) == 0 {
		t.Fatal("no mutants of the shipped kernels")
	}
	for _, m := range list {
		files := m.apply(clean).Files()
		for i, f := range clean.Files() {
			switch text := files[i].Text; {
			case f.Name != m.File && text != f.Text:
				t.Errorf("%s: changes %s too", m, f.Name)
			case f.Name == m.File && line(text, m.At) != m.To:
				t.Errorf("%s: the line is %q", m, line(text, m.At))
			}
		}
		back := mutant{File: m.File, At: m.At, Old: m.New, New: m.Old}
		if back.apply(m.apply(clean)).Digest() != clean.Digest() {
			t.Errorf("%s: taking it back does not give the original", m)
		}
	}
}
