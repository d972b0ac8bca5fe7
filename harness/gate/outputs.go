package gate

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"attndiff/harness/session"
)

// The files of a run, in its output folder beside the folder of reports.
const (
	PartFile    = "gate.json"
	JUnitFile   = "junit.xml"
	SARIFFile   = "gate.sarif"
	SummaryFile = "summary.md"
)

// Write puts the part's files in their places under the output folder, each
// whole or not at all, and reports in the place of those of an earlier run.
func (p *Part) Write(work *session.Workspace, out string) error {
	for name, encode := range map[string]func(io.Writer) error{
		PartFile: p.Encode, JUnitFile: p.JUnit, SARIFFile: p.SARIF, SummaryFile: p.Summary,
	} {
		var text bytes.Buffer
		if err := encode(&text); err != nil {
			return err
		}
		draft := filepath.Join(work.Dir(), name)
		if err := os.WriteFile(draft, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	if err := swap(filepath.Join(work.Dir(), casesFolder), filepath.Join(out, casesFolder), filepath.Join(work.Dir(), "before")); err != nil {
		return err
	}
	for _, name := range []string{JUnitFile, SARIFFile, SummaryFile, PartFile} {
		if _, err := work.Keep(filepath.Join(work.Dir(), name), name); err != nil {
			return err
		}
	}
	return nil
}

// swap moves a folder to its place and what was there before away. There may
// be neither.
func swap(from, to, away string) error {
	if err := os.Rename(to, away); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Only a folder that holds reports goes to its place.
	if err := os.Remove(from); err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return os.Rename(from, to)
}

// AppendSummary adds the part's summary to a file that collects those of
// several steps, as GITHUB_STEP_SUMMARY names one.
func (p *Part) AppendSummary(path string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(p.Summary(f), f.Close())
}

// Collect copies the reports that parts of other machines brought along beside
// their files into the folder of a joined part.
func (p *Part) Collect(parts []*Part, files []string, dir string) error {
	for i, part := range parts {
		for _, r := range part.all() {
			if r.Files == "" {
				continue
			}
			from := filepath.Join(filepath.Dir(files[i]), r.Files)
			if _, err := os.Stat(from); err != nil {
				continue // a part that came alone says what failed all the same
			}
			to := filepath.Join(dir, r.Files)
			if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
				return err
			}
			if err := os.CopyFS(to, os.DirFS(from)); err != nil {
				return err
			}
		}
	}
	return nil
}
