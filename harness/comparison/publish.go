package comparison

import (
	"path/filepath"

	"attndiff/harness/report/document"
	"attndiff/harness/session"
)

// Publish puts a report, its page, its documents and the recordings it was
// made from in their places and returns the path of report.json. Each file appears whole or
// not at all, and no document of an earlier run stays beside a report that it
// is not about.
func (d *Diff) Publish(work *session.Workspace) (string, error) {
	draft := filepath.Join(work.Dir(), "report.json")
	if err := d.Report.Write(draft); err != nil {
		return "", err
	}
	page := filepath.Join(work.Dir(), "report.html")
	if err := d.page(page); err != nil {
		return "", err
	}
	documents, err := d.document(work)
	if err != nil {
		return "", err
	}
	if run := d.Input.Run; run != nil {
		for role, rec := range map[string]*session.Recording{"reference": run.Reference, "ours": run.Ours} {
			if rec.Side.Trace != "" {
				continue // somebody else's file stays where it is
			}
			if _, err := work.Keep(rec.File, "traces", role+".safetensors"); err != nil {
				return "", err
			}
		}
	}
	for _, file := range append(documents, page) {
		if _, err := work.Keep(file, filepath.Base(file)); err != nil {
			return "", err
		}
	}
	return work.Keep(draft, "report.json")
}

// document writes the documents of a run that came to a verdict and returns
// the files. After one that did not, those of an earlier run are removed.
func (d *Diff) document(work *session.Workspace) ([]string, error) {
	run := d.Input.Run
	if run == nil {
		return nil, document.Remove(work.Out())
	}
	return document.Write(work.Dir(), document.Input{
		Report: d.Report, Reference: run.Reference.File, Ours: run.Ours.File, Model: d.Model, Out: work.Out(),
	})
}
