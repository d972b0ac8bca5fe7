package comparison_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"attndiff/harness/comparison"
	"attndiff/harness/engines"
	"attndiff/harness/session"
)

// Judging, explaining and looking for limits end at once when they are told to, with one error.
func TestStop(t *testing.T) {
	m, id, ref := tiny(t)
	ours := record(t, session.Spec{Engine: engines.OursEmu, Model: m.Path, KV: "f16", Faults: []string{"no-scale"}}, id)

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
	if limits, err := v.Limits(); !errors.Is(err, context.Canceled) || err.Error() != context.Canceled.Error() {
		t.Errorf("limits %v, error %v", limits, err)
	}
	if _, err := j.Judge(ours, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("judging ended with %v", err)
	}
	stop.Store(false)
	if causes, err := v.Causes(); err != nil || len(causes) != 1 {
		t.Errorf("causes %v, error %v", causes, err)
	}
}
