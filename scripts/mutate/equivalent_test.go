package main

import (
	"slices"
	"strings"
	"testing"

	"attndiff/ours/kernels"
)

const entry = `# Two lines
# of comment.

a.cu
- x = 1;
+ x = 2;
+ (dropped)
Nobody reads x,
  ever.

# between
b.cu
- y -= 1;
~ z = y;
+ y -= - 1;
For - and + in reasons too.
`

func TestEquivalent(t *testing.T) {
	list, err := parseEquivalent(entry)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ file, from, next, to, want string }{
		{"a.cu", "x = 1;", "anything", "x = 2;", "Nobody reads x, ever."},
		{"a.cu", "x = 1;", "", "", "Nobody reads x, ever."},
		{"b.cu", "x = 1;", "", "x = 2;", ""},
		{"a.cu", "x = 1;", "", "x = 3;", ""},
		{"b.cu", "y -= 1;", "z = 0;", "y -= - 1;", ""},
	} {
		got, ok := reason(list, mutant{File: tt.file, From: tt.from, Next: tt.next, To: tt.to})
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%v: reason %q, %v", tt, got, ok)
		}
	}
	last := slices.Clone(list[len(list)-1:])
	last[0].used = []bool{false}
	if got, _ := reason(last, mutant{File: "b.cu", From: "y -= 1;", Next: "z = y;", To: "y -= - 1;"}); got != "For - and + in reasons too." {
		t.Errorf("reason %q", got)
	}
	left := unused(list)
	if len(left) != 1 || !strings.Contains(left[0], `equivalent.txt:12: there is no mutant of b.cu that makes "y -= - 1;" of "y -= 1;"`) {
		t.Errorf("unused: %q", left)
	}
}

func TestEquivalentRefused(t *testing.T) {
	for _, text := range []string{
		"a.cu\n- x\nreason\n",   // what it becomes is missing
		"a.cu\n+ x\nreason\n",   // what it was
		"a.cu\n- x\n+ y\n",      // why
		"a.cu\n\n- x\n+ y\nr\n", // an entry torn apart
	} {
		if _, err := parseEquivalent(text); err == nil || !strings.HasPrefix(err.Error(), "equivalent.txt:1: ") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// TestEquivalentFile: every entry of the file answers to a mutant.
func TestEquivalentFile(t *testing.T) {
	list, err := parseEquivalent(equivalentText)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants(kernels.Default()) {
		reason(list, m)
	}
	for _, u := range unused(list) {
		t.Error(u)
	}
}

func FuzzEquivalent(f *testing.F) {
	f.Add(entry)
	f.Add("+\n-\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseEquivalent(text)
		for _, e := range list {
			if err == nil && (e.file == "" || e.from == "" || len(e.to) == 0 || e.reason == "") {
				t.Fatalf("an entry without something: %+v", e)
			}
		}
	})
}
