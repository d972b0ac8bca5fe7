package page

import (
	"bufio"
	"embed"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"

	"attndiff/harness/report"
	"attndiff/traces/trace"
)

// Input is what a page is made of.
type Input struct {
	Report *report.Report
	// Both traces; nil for a run that an engine did not survive.
	Reference, Ours *trace.Reader
	Decode          func([]int32) string // ids to text; nil without a model
}

//go:embed assets
var assets embed.FS

var pageTemplate = template.Must(template.ParseFS(assets, "assets/*.html"))

// Render writes the page. The same input gives the same bytes.
func Render(w io.Writer, in Input) error {
	v, err := newView(in)
	if err != nil {
		return err
	}
	return pageTemplate.ExecuteTemplate(w, "page.html", v)
}

// Write puts the page at path whole or not at all: it is written beside it
// first and renamed.
func Write(path string, in Input) error {
	fail := func(err error) error { return fmt.Errorf("%s: cannot write the page: %w", path, err) }
	f, err := os.CreateTemp(filepath.Dir(path), ".page-*.html")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name()) // no longer there once renamed
	buf := bufio.NewWriter(f)
	if err := Render(buf, in); err != nil {
		f.Close()
		return fail(err)
	}
	if err := buf.Flush(); err != nil {
		f.Close()
		return fail(err)
	}
	if err := f.Chmod(0o644); err != nil {
		f.Close()
		return fail(err)
	}
	if err := f.Close(); err != nil {
		return fail(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fail(err)
	}
	return nil
}
