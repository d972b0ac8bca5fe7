package page

import (
	"embed"
	"fmt"
	"html/template"
	"io"

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

// Write puts the page at path whole or not at all.
func Write(path string, in Input) error {
	err := report.Whole(path, func(w io.Writer) error { return Render(w, in) })
	if err != nil {
		return fmt.Errorf("%s: cannot write the page: %w", path, err)
	}
	return nil
}
