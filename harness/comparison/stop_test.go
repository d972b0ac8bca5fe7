package comparison_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"attndiff/harness/comparison"
	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/trace"
)

// Judging and explaining end at once when they are told to, with one error.
func TestStop(t *testing.T) {
	path := synthtest.Tiny(t, "F16")
	m, err := engines.OpenModel(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	sum, err := m.SHA256()
	if err != nil {
		t.Fatal(err)
	}
	id := session.Model{Name: m.Name, SHA256: sum}
	ref, err := trace.Open(record(t, session.Spec{Engine: engines.LlamaCPU, Model: path, KV: "f16"}, id))
	if err != nil {
		t.Fatal(err)
	}
	defer ref.Close()
	ours := record(t, session.Spec{Engine: engines.OursEmu, Model: path, KV: "f16", Faults: []string{"no-scale"}}, id)

	var stop atomic.Bool
	j := comparison.Judge{Reference: ref, Model: m, Stop: func() error {
		if stop.Load() {
			return context.Canceled
		}
		return nil
	}}
	v, err := j.Judge(ours, "")
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	stop.Store(true)
	if causes, err := v.Causes(); !errors.Is(err, context.Canceled) || err.Error() != context.Canceled.Error() {
		t.Errorf("causes %v, error %v", causes, err)
	}
	if _, err := j.Judge(ours, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("judging ended with %v", err)
	}
	stop.Store(false)
	if causes, err := v.Causes(); err != nil || len(causes) != 1 {
		t.Errorf("causes %v, error %v", causes, err)
	}
}
