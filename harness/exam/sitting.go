package exam

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"attndiff/harness/comparison"
	"attndiff/harness/engines"
	"attndiff/harness/session"
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
	file, err := s.record(ctx, false)
	if err != nil {
		return nil, err
	}
	j := comparison.Judge{Reference: s.ref, Model: s.model, Stop: ctx.Err, Again: func() (string, error) { return s.record(ctx, true) }}
	judged, err := j.Judge(file, "")
	if err != nil {
		return nil, err
	}
	defer judged.Close()
	causes, err := judged.Causes()
	if err != nil {
		return nil, err
	}
	truths := make([]Truth, len(s.Faults))
	for i := range s.Faults {
		if truths[i], err = s.truth(i, judged); err != nil {
			return nil, err
		}
	}
	return mark(s.Case, truths, judged.Result, causes), nil
}

// truth says which ops the i-th fault makes wrong: those it changes in the
// first run and, where NaN kept an op from being judged there, in the second.
func (s *sitting) truth(i int, judged *comparison.Judgement) (Truth, error) {
	others := slices.Delete(slices.Clone(s.Faults), i, i+1)
	t, err := locate(s.model, others, false, judged.First)
	if err != nil || judged.Again == nil {
		return t, err
	}
	more, err := locate(s.model, others, true, judged.Again)
	if err != nil {
		return t, err
	}
	blind := map[tap.Key]bool{}
	for _, t := range judged.First.Result.Taps {
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

// record records the case's run. ordinary is the second run that diff makes
// where NaN kept ops from being judged: memory that nobody wrote holds ordinary
// numbers.
func (s *sitting) record(ctx context.Context, ordinary bool) (string, error) {
	path := filepath.Join(s.dir, fmt.Sprintf("with-%t.safetensors", ordinary))
	return path, s.shared.ours(ctx, s.Setting, s.names(), ordinary, path)
}
