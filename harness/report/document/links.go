package document

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// linker turns places in this repository's code into links from the documents'
// folder.
type linker struct {
	out  string // the documents' folder, absolute
	root string // the repository's, "" when the folder is not in it
}

// newLinker looks for the repository around a folder.
func newLinker(out string) *linker {
	l := &linker{}
	var err error
	if l.out, err = filepath.Abs(out); err != nil {
		return l
	}
	for dir := l.out; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module attndiff\n") {
			l.root = dir
			return l
		}
		if dir == filepath.Dir(dir) {
			return l
		}
	}
}

// code is a place in our code: a link where the file can be reached from the
// documents, else its name. Line 0 means the whole file.
func (l *linker) code(file string, line int) string {
	place, anchor := file, ""
	if line > 0 {
		place, anchor = fmt.Sprintf("%s:%d", file, line), fmt.Sprintf("#L%d", line)
	}
	if l.root == "" {
		return code(place)
	}
	path := filepath.Join(l.root, filepath.FromSlash(file))
	if _, err := os.Stat(path); err != nil {
		return code(place)
	}
	relative, err := filepath.Rel(l.out, path)
	if err != nil || strings.ContainsAny(relative, " ()<>") {
		return code(place)
	}
	return fmt.Sprintf("[%s](%s%s)", code(place), filepath.ToSlash(relative), anchor)
}
