package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// made makes findings: n of each fate, located where killed and asked for.
func made(n int, fate Fate, located bool) []*Finding {
	var list []*Finding
	for i := range n {
		m := mutant{File: "a.cu", Line: i + 1, Kind: "compare", From: "x < y;", To: "x <= y;"}
		list = append(list, &Finding{mutant: m, Fate: fate, Located: located, What: "what was said"})
	}
	return list
}

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		name                                        string
		located, lost, survived, same, listed, bad  int
		killedVerdict, locatedVerdict, staleVerdict bool
	}{
		{name: "all well", located: 97, survived: 3},
		{name: "one more survives", located: 96, survived: 4, killedVerdict: true},
		{name: "equivalent mutants do not count", located: 97, survived: 3, same: 50, listed: 50},
		{name: "nor do those that do not compile", located: 97, survived: 3, bad: 50},
		{name: "95 located", located: 95, lost: 5},
		{name: "94 located", located: 94, lost: 6, locatedVerdict: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			findings := made(tt.located, Divergence, true)
			findings = append(findings, made(tt.lost, Crashed, false)...)
			findings = append(findings, made(tt.survived, Survived, false)...)
			findings = append(findings, made(tt.bad, Invalid, false)...)
			for _, f := range made(tt.same, SameCode, false) {
				f.Reason = "the same code"
				findings = append(findings, f)
			}
			for _, f := range made(tt.listed, Survived, false) {
				f.To = "x != y;"
				findings = append(findings, f)
			}
			r := collect(findings, []equivalence{{file: "a.cu", from: "x < y;", to: []string{"x != y;"}, reason: "why", used: []bool{false}}})
			if r.All.Equivalent != tt.same+tt.listed || r.All.Survived != tt.survived || r.Invalid != tt.bad {
				t.Errorf("counts %+v, %d invalid", r.All, r.Invalid)
			}
			said := strings.Join(r.Verdict, "\n")
			for part, want := range map[string]bool{"not equivalent are killed": tt.killedVerdict, "are located": tt.locatedVerdict} {
				if strings.Contains(said, part) != want {
					t.Errorf("verdict %q", said)
				}
			}
		})
	}
}

// A mutant that is listed as equivalent and killed shows that the list is wrong.
func TestListedAndKilled(t *testing.T) {
	r := collect(made(1, Divergence, true), []equivalence{{file: "a.cu", from: "x < y;", to: []string{"x <= y;"}, reason: "why", used: []bool{false}}})
	if len(r.Verdict) != 1 || !strings.Contains(r.Verdict[0], "equivalent.txt lists a.cu:1: x < y;") {
		t.Errorf("verdict %q", r.Verdict)
	}
	if r.All.Killed != 1 || r.All.Equivalent != 0 {
		t.Errorf("counts %+v", r.All)
	}
}

// A gap that is known counts as survived, and is worded.
func TestGap(t *testing.T) {
	r := collect(made(1, Survived, false), []equivalence{{file: "a.cu", from: "x < y;", to: []string{"x <= y;"}, reason: "Gap: nobody looks.", used: []bool{false}}})
	if r.All.Survived != 1 || r.All.Equivalent != 0 || r.Findings[0].What != "nobody looks." {
		t.Errorf("counts %+v, %+v", r.All, r.Findings[0])
	}
}

func TestDrawn(t *testing.T) {
	all := []mutant{{File: "a.cu"}, {File: "a.cu"}, {File: "b.cu"}, {File: "c.cu"}}
	got := drawn([]*Finding{{mutant: all[0]}, {mutant: all[2]}}, all)
	if !slices.Equal(got, []Drawn{{"a.cu", 1, 2}, {"c.cu", 0, 1}}) {
		t.Errorf("drawn %v", got)
	}
}

func TestWrite(t *testing.T) {
	findings := append(made(1, Divergence, true), made(1, Unstable, false)...)
	findings = append(findings, made(1, Survived, false)...)
	findings[2].What, findings[2].Changes = "", "s0000.inp_embd of trial slim"
	gone := made(1, Survived, false)[0]
	gone.To = ""
	r := collect(append(findings, gone), []equivalence{{file: "a.cu", from: "x < y;", to: []string{""}, reason: "Nobody reads it.", used: []bool{false}}})
	r.Only, r.Drawn = "a*", []Drawn{{"a.cu", 4, 9}, {"b.cu", 0, 2}}
	dir := filepath.Join(t.TempDir(), "out")
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v, %v", entries, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "mutants.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back Results
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Findings) != 4 || back.Findings[1].Fate != Unstable || back.All != r.All || bytes.Count(raw, []byte("\n")) != 6 {
		t.Errorf("mutants.json holds %s", raw)
	}
	md, err := os.ReadFile(filepath.Join(dir, "mutants.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nThese are the mutants of the files that match `a*` alone.\n\nNot every change is here, but a number drawn evenly: 4 of 9 of a.cu, 0 of 2 of b.cu.\n",
		"| a.cu | 4 | 1 | 2 | 66.6 % | 1 | 50 % | 1 |",
		"- falls short: 2 of 3 mutants",
		"## Survived\n\na.cu\n\n- line 1, `x < y;` to `x <= y;`: changes bits, first s0000.inp_embd of trial slim\n",
		"## Killed and not located\n\na.cu\n\n- line 1, `x < y;` to `x <= y;`: what was said\n",
		"to `(dropped)`: Nobody reads it.\n",
	} {
		if !strings.Contains(string(md), want) {
			t.Errorf("mutants.md lacks %q:\n%s", want, md)
		}
	}
}
