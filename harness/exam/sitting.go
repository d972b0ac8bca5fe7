package exam

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"attndiff/harness/diagnose"
	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// sitting is one case being run.
type sitting struct {
	Case
	shared *recordings
	dir    string // for what only this case needs
	model  *gguf.File
	ref    *trace.Reader
}

// judged is a recording of ours with what the harness says of it.
type judged struct {
	ours   *trace.Reader
	result *verdict.Result
}

// one runs a case.
func (e *Exam) one(ctx context.Context, c Case, shared *recordings) (*Mark, error) {
	defer shared.release(c.Setting)
	began := time.Now()
	dir, err := os.MkdirTemp(e.Dir, "case-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s := &sitting{Case: c, shared: shared, dir: dir}
	if s.model, err = engines.OpenModel(c.Setting.Model.Path); err != nil {
		return nil, err
	}
	defer s.model.Close()
	path, err := shared.reference(ctx, c.Setting)
	if err != nil {
		return nil, err
	}
	if s.ref, err = trace.Open(path); err != nil {
		return nil, err
	}
	defer s.ref.Close()
	m, err := s.mark(ctx)
	var died *session.Failure
	if errors.As(err, &died) {
		m, err = failure(c, died), nil
	}
	if err != nil {
		return nil, err
	}
	m.Seconds = time.Since(began).Seconds()
	return m, nil
}

// mark runs ours, has it judged and diagnosed as `attndiff diff` does it, and
// holds the answer against the truth.
func (s *sitting) mark(ctx context.Context) (*Mark, error) {
	first, err := s.judge(ctx, false)
	if err != nil {
		return nil, err
	}
	defer first.ours.Close()
	// Experiments are made on the last recording with wrong ops.
	again, seen, result := first, first, first.result
	if first.result.Blind() {
		if again, err = s.judge(ctx, true); err != nil {
			return nil, err
		}
		defer again.ours.Close()
		result, _ = verdict.Merge(first.result, again.result, "in the run with ordinary numbers in unwritten memory",
			func(t verdict.Tap) bool { return t.Blind })
		if again.result.First != nil {
			seen = again
		}
	}
	causes, err := diagnose.Run(diagnose.Bench{Reference: s.ref, Ours: seen.ours, Model: s.model, Result: seen.result})
	if err != nil {
		return nil, err
	}
	truths := make([]Truth, len(s.Faults))
	for i := range s.Faults {
		if truths[i], err = s.truth(i, first, again); err != nil {
			return nil, err
		}
	}
	return mark(s.Case, truths, result, causes), nil
}

// truth says which ops the i-th fault makes wrong: those it changes in the
// first run and, where NaN kept an op from being judged there, in the second.
func (s *sitting) truth(i int, first, again *judged) (Truth, error) {
	others := slices.Delete(slices.Clone(s.Faults), i, i+1)
	t, err := locate(s.model, others, false, first)
	if err != nil || again == first {
		return t, err
	}
	more, err := locate(s.model, others, true, again)
	if err != nil {
		return t, err
	}
	blind := map[tap.Key]bool{}
	for _, t := range first.result.Taps {
		blind[t.Key] = t.Blind
	}
	join := func(a, b []tap.Key) []tap.Key {
		for _, k := range b {
			if blind[k] && !slices.Contains(a, k) {
				a = append(a, k)
			}
		}
		slices.SortFunc(a, tap.Key.Compare)
		return a
	}
	t.Must, t.May = join(t.Must, more.Must), join(t.May, more.May)
	if !t.Shows() {
		t.Why = more.Why
	}
	return t, nil
}

// judge records the case's run and has it judged. ordinary is the second run
// that diff makes where NaN kept ops from being judged: memory that nobody
// wrote holds ordinary numbers.
func (s *sitting) judge(ctx context.Context, ordinary bool) (*judged, error) {
	path := filepath.Join(s.dir, fmt.Sprintf("with-%t.safetensors", ordinary))
	if err := s.shared.ours(ctx, s.Setting, s.names(), ordinary, path); err != nil {
		return nil, err
	}
	ours, err := trace.Open(path)
	if err != nil {
		return nil, err
	}
	result, err := verdict.Judge(s.ref, ours, s.model, verdict.Options{})
	if err != nil {
		ours.Close()
		return nil, err
	}
	return &judged{ours, result}, nil
}
