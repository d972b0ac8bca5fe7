package comparison

import (
	"path/filepath"

	"attndiff/harness/session"
)

// Publish puts a report and the recordings it was made from in their places
// and returns the path of report.json. Each file appears whole or not at all.
func (d *Diff) Publish(work *session.Workspace) (string, error) {
	draft := filepath.Join(work.Dir(), "report.json")
	if err := d.Report.Write(draft); err != nil {
		return "", err
	}
	page := filepath.Join(work.Dir(), "report.html")
	if err := d.page(page); err != nil {
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
	if _, err := work.Keep(page, "report.html"); err != nil {
		return "", err
	}
	return work.Keep(draft, "report.json")
}
