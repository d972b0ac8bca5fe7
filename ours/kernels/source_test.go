package kernels

import (
	"regexp"
	"strings"
	"testing"
)

func two() Source {
	return New(File{"b.cu", "int x; int y; int y;"}, File{"a.cuh", "one two three"})
}

func TestDefaultHoldsKernels(t *testing.T) {
	var cu int
	for _, f := range Default().Files() {
		if strings.HasSuffix(f.Name, ".cu") {
			cu++
		}
		if f.Text == "" {
			t.Errorf("%s is empty", f.Name)
		}
	}
	if cu == 0 {
		t.Error("no .cu file is embedded")
	}
}

func TestDigest(t *testing.T) {
	base := two().Digest()
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(base) {
		t.Fatalf("digest %q is not SHA-256 in hex", base)
	}
	if same := New(two().files[1], two().files[0]).Digest(); same != base {
		t.Error("the digest depends on the order files are given in")
	}
	for name, other := range map[string]Source{
		"no files":     New(),
		"another text": New(File{"b.cu", "int x; int y; int z;"}, File{"a.cuh", "one two three"}),
		"another name": New(File{"c.cu", "int x; int y; int y;"}, File{"a.cuh", "one two three"}),
		"moved border": New(File{"b.cu", "int x; int y; int y;"}, File{"a.cuh", "one two thre"}, File{"e", ""}),
	} {
		if other.Digest() == base {
			t.Errorf("%s: the digest is the same", name)
		}
	}
}

func TestReplace(t *testing.T) {
	for _, tt := range []struct{ file, old, new, want, err string }{
		{file: "a.cuh", old: "two", new: "2", want: "one 2 three"},
		{file: "a.cuh", old: "one two three", new: "", want: ""},
		{file: "c.cu", old: "x", err: "patch of c.cu: no such kernel file; there are a.cuh, b.cu"},
		{file: "b.cu", old: "int z;", err: `the text "int z;" occurs 0 times`},
		{file: "b.cu", old: "int y;", err: `the text "int y;" occurs 2 times, want exactly once`},
		{file: "b.cu", old: "", err: "the text to replace is empty"},
	} {
		src := two()
		got, err := src.Replace(tt.file, tt.old, tt.new)
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Replace(%q, %q): error %v, want %q", tt.file, tt.old, err, tt.err)
			}
		case err != nil:
			t.Error(err)
		case got.Files()[0].Text != tt.want:
			t.Errorf("Replace(%q, %q) = %q, want %q", tt.file, tt.old, got.Files()[0].Text, tt.want)
		}
		if src.Digest() != two().Digest() {
			t.Fatal("Replace changed the source it was called on")
		}
	}
}
