// Package tracetest finishes the traces that tests write.
package tracetest

import (
	"testing"

	"attndiff/traces/trace"
)

// Finish closes the trace that w wrote at path and opens it for reading until
// the test ends.
func Finish(t testing.TB, w *trace.Writer, path string, meta trace.Meta) *trace.Reader {
	t.Helper()
	if err := w.Close(meta); err != nil {
		t.Fatal(err)
	}
	r, err := trace.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}
