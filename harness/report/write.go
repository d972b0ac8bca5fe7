package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Encode writes the report as JSON that a person can search: one line per key,
// per finding and per recording.
func (r *Report) Encode(w io.Writer) error {
	var compact bytes.Buffer
	enc := json.NewEncoder(&compact)
	enc.SetEscapeHTML(false) // prompts are full of <|im_start|>
	if err := enc.Encode(r); err != nil {
		return err
	}
	_, err := w.Write(indent(compact.Bytes(), 2))
	return err
}

// indent breaks compact JSON into lines down to a depth; what lies deeper
// stays in one line.
func indent(compact []byte, depth int) []byte {
	var out []byte
	level, quoted, escaped := 0, false, false
	newline := func() { out = append(append(out, '\n'), bytes.Repeat([]byte("  "), level)...) }
	for i, c := range compact {
		switch {
		case quoted:
			quoted = c != '"' || escaped
			escaped = c == '\\' && !escaped
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			level++
			out = append(out, c)
			if next := compact[i+1]; level <= depth && next != '}' && next != ']' {
				newline()
			}
			continue
		case c == '}' || c == ']':
			level--
			if last := compact[i-1]; level < depth && last != '{' && last != '[' {
				newline()
			}
		case c == ',' && level <= depth:
			out = append(out, c)
			newline()
			continue
		}
		out = append(out, c)
	}
	return out
}

// Write puts the report at path whole or not at all.
func (r *Report) Write(path string) error {
	if err := Whole(path, r.Encode); err != nil {
		return fmt.Errorf("%s: cannot write the report: %w", path, err)
	}
	return nil
}

// Whole puts what write writes at path whole or not at all: it is written
// beside it first and renamed.
func Whole(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // no longer there once renamed
	buf := bufio.NewWriter(f)
	err = write(buf)
	if err == nil {
		err = buf.Flush()
	}
	if err == nil {
		err = f.Chmod(0o644)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
