package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attndiff/ours/kernels"
)

func TestRecount(t *testing.T) {
	src := kernels.Default()
	all := mutants(src)
	findings := []*Finding{
		{mutant: all[0], Fate: Survived, Reason: "a reason that was withdrawn"},
		{mutant: all[1], Fate: Divergence, Located: true, What: "what was said"},
	}
	r := collect(findings, nil)
	r.Kernels, r.Only = digest(src, "a*"), "a*"
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "mutants.json")
	back, err := recount(file, src)
	if err != nil {
		t.Fatal(err)
	}
	if len(back.Findings) != 2 || back.Only != "a*" || back.Findings[0].mutant != all[0] || back.Findings[0].Reason != "" ||
		!back.Findings[1].Located || back.Findings[1].What != "what was said" {
		t.Errorf("read back %+v", back)
	}

	other, err := src.Replace("argmax.cu", "best[0] = index", "best[1] = index")
	if err == nil {
		_, err = recount(file, other)
	}
	if err == nil || !strings.Contains(err.Error(), "other kernels") {
		t.Errorf("error %v", err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ old, new, want string }{
		{`"kind":"` + all[1].Kind, `"kind":"other`, "there is no mutant argmax.cu:"},
		{"{", "", "mutants.json: invalid character"},
		{`{"file"`, `null,{"file"`, "a mutant is null"},
	} {
		if err := os.WriteFile(file, []byte(strings.Replace(string(raw), tt.old, tt.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := recount(file, src); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q for %q: error %v, want %q", tt.new, tt.old, err, tt.want)
		}
	}
}
