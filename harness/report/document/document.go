package document

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Names of the documents, as they are asked for.
const (
	Comparison = "LLAMACPP_VS_OURS_COMPARISON.md"
	Bugs       = "ATTENTION_BUGS_FOUND.md"
	FixPlan    = "ATTENTION_FIX_PLAN.md"
)

// Names lists the documents in the order of reading.
func Names() []string { return []string{Comparison, Bugs, FixPlan} }

// Write writes the documents of a finished diff into a folder and returns
// their paths, in the order of [Names].
func Write(dir string, in Input) ([]string, error) {
	m, err := gather(in)
	if err != nil {
		return nil, err
	}
	defer m.close()
	var paths []string
	for i, text := range []string{m.comparison(), m.bugs(), m.fixPlan()} {
		path := filepath.Join(dir, Names()[i])
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// Remove removes documents of an earlier run from a folder: beside the report
// of a run that came to no verdict they would contradict it.
func Remove(dir string) error {
	var errs []error
	for _, name := range Names() {
		if err := os.Remove(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
