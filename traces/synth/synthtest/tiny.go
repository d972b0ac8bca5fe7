// Package synthtest gives tests a small model file. It is apart from synth so
// that package testing is not linked into the program.
package synthtest

import (
	"path/filepath"
	"testing"

	"attndiff/traces/synth"
)

// Tiny writes the shape "tiny" with matrices of a type ("F32", "F16", "BF16",
// "Q8_0") into a folder of the test and returns its path. The file is about
// 1 MB in F32 and the same in every run. Changes are made to the spec in
// order before it is written.
func Tiny(t testing.TB, typ string, changes ...func(*synth.Spec)) string {
	t.Helper()
	s, err := synth.Named("tiny")
	if err != nil {
		t.Fatal(err)
	}
	s.Type, s.Seed = typ, 1
	for _, change := range changes {
		change(&s)
	}
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := synth.Write(path, s); err != nil {
		t.Fatal(err)
	}
	return path
}
