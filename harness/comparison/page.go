package comparison

import (
	"attndiff/harness/report/page"
	"attndiff/traces/trace"
)

// page draws the report as a page at path, with the recordings where they lie
// now.
func (d *Diff) page(path string) error {
	in := page.Input{Report: d.Report, Decode: d.Input.Decode}
	if run := d.Input.Run; run != nil {
		var err error
		if in.Reference, err = trace.Open(run.Reference.File); err != nil {
			return err
		}
		defer in.Reference.Close()
		if in.Ours, err = trace.Open(run.Ours.File); err != nil {
			return err
		}
		defer in.Ours.Close()
	}
	return page.Write(path, in)
}
