package kernels

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed *.cu*
var files embed.FS

// File is one kernel file or header.
type File struct {
	Name string // base name: "rope.cu", "reduce.cuh"
	Text string
}

// Source is a set of kernel files ordered by name. Its methods never change
// it: Replace returns a new one.
type Source struct {
	files []File
}

// Default returns the kernels of this repository.
func Default() Source {
	entries, err := fs.ReadDir(files, ".")
	if err != nil { // an embedded root directory always reads
		panic(err)
	}
	var list []File
	for _, e := range entries {
		text, err := files.ReadFile(e.Name())
		if err != nil { // nor can a file it lists be missing
			panic(err)
		}
		list = append(list, File{Name: e.Name(), Text: string(text)})
	}
	return New(list...)
}

// New returns a source of the given files, ordered by name.
func New(list ...File) Source {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return Source{files: list}
}

// Files returns the files in order of name.
func (s Source) Files() []File { return slices.Clone(s.files) }

// Digest returns the SHA-256 of the names and texts, in hex. Each is preceded
// by its length, so no two different sets of files hash the same bytes.
func (s Source) Digest() string {
	h := sha256.New()
	for _, f := range s.files {
		fmt.Fprintf(h, "%d %s %d %s", len(f.Name), f.Name, len(f.Text), f.Text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Replace returns a copy of s in which the text old of one file reads new
// instead, as a planted fault or a mutant needs it. The file must exist and
// contain old exactly once, so that a patch whose target moved fails rather
// than plants nothing.
func (s Source) Replace(file, old, new string) (Source, error) {
	i := slices.IndexFunc(s.files, func(f File) bool { return f.Name == file })
	if i < 0 {
		return Source{}, fmt.Errorf("patch of %s: no such kernel file; there are %s", file, strings.Join(s.names(), ", "))
	}
	if old == "" {
		return Source{}, fmt.Errorf("patch of %s: the text to replace is empty", file)
	}
	if n := strings.Count(s.files[i].Text, old); n != 1 {
		return Source{}, fmt.Errorf("patch of %s: the text %q occurs %d times, want exactly once; bring the patch up to date with the file",
			file, old, n)
	}
	patched := slices.Clone(s.files)
	patched[i].Text = strings.Replace(patched[i].Text, old, new, 1)
	return Source{files: patched}, nil
}

// names lists the file names in order.
func (s Source) names() []string {
	var names []string
	for _, f := range s.files {
		names = append(names, f.Name)
	}
	return names
}
