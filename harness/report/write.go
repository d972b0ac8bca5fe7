package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Encode writes the report as JSON, one line per key at the top level's depth.
func (r *Report) Encode(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // prompts are full of <|im_start|>
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Write puts the report at path whole or not at all: it is written beside it
// first and renamed.
func (r *Report) Write(path string) error {
	fail := func(err error) error { return fmt.Errorf("%s: cannot write the report: %w", path, err) }
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*.json")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name()) // no longer there once renamed
	buf := bufio.NewWriter(f)
	if err := r.Encode(buf); err != nil {
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
