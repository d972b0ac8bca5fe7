package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRender expects a Go file with one quoted flag a folder, so that a module
// cache with a space in its path stays one argument.
func TestRender(t *testing.T) {
	text := render("/home/a b/mod", "v1.2.3")
	f, err := parser.ParseFile(token.NewFileSet(), "cgo_flags.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	if f.Name.Name != "llamacpp" {
		t.Errorf("package %s", f.Name.Name)
	}
	for _, sub := range includes {
		if line := `// #cgo CPPFLAGS: "-I/home/a b/mod/` + sub + `"`; !strings.Contains(string(text), line+"\n") {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}
	if !bytes.Contains(text, []byte(`ollamaVersion = "v1.2.3"`)) {
		t.Errorf("no version in\n%s", text)
	}
}

// TestRun expects the real command to write the file, and to leave a file alone
// that is right already.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cgo_flags.go")
	if err := run([]string{"-o", path}, os.Stderr); err != nil {
		t.Fatal(err)
	}
	first, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"-o", path}, os.Stderr); err != nil {
		t.Fatal(err)
	}
	second, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(first, second) {
		t.Error("a file with the same content was replaced")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".cgoflags-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRunRefuse(t *testing.T) {
	if err := run([]string{"-o", "/no/such/folder/x.go"}, os.Stderr); err == nil {
		t.Error("wrote into a folder that is not there")
	}
}
