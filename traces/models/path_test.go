package models

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPathFindsTheShippedModel(t *testing.T) {
	path, err := Path()
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(path) {
		t.Errorf("%s is not absolute", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	const most = 24_000_000 // what a clone may cost
	if info.Size() > most {
		t.Errorf("the shipped model is %d bytes, more than %d", info.Size(), most)
	}
}

// The README is the record of how the file came about; it must be of this file.
func TestReadmeRecordsTheChecksum(t *testing.T) {
	model, err := os.ReadFile("haiku.gguf")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(model)); !strings.Contains(string(readme), sum) {
		t.Errorf("README.md does not record haiku.gguf's sha256 %s", sum)
	}
}

func TestFind(t *testing.T) {
	root, empty := t.TempDir(), t.TempDir()
	model := filepath.Join(root, file)
	deep := filepath.Join(root, "a", "b")
	for _, dir := range []string{deep, filepath.Dir(model), filepath.Join(root, "bin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(model, []byte("GGUF"), 0o644); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, file), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, dir, exe string
		found          bool
	}{
		{"in the working directory", root, "", true},
		{"above the working directory", deep, "", true},
		{"beside the executable's folder", empty, filepath.Join(root, "bin", "attndiff"), true},
		{"nowhere", empty, filepath.Join(empty, "bin", "attndiff"), false},
		{"nowhere and no executable", empty, "", false},
		{"a folder of that name", folder, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, err := find(c.dir, c.exe)
			if (err == nil) != c.found {
				t.Fatalf("path %q, error %v", path, err)
			}
			if c.found && path != model {
				t.Errorf("found %s, want %s", path, model)
			}
			if !c.found && (!strings.Contains(err.Error(), "--model") || strings.Contains(err.Error(), "\n")) {
				t.Errorf("the error does not help: %v", err)
			}
		})
	}
}
