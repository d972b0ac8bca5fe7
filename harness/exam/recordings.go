package exam

import (
	"context"
	"os"
	"sync"

	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/traces/trace"
)

// recordings keeps what several cases share, the reference's run of a setting.
// It is made once, by whoever asks first.
type recordings struct {
	runner *session.Runner
	dir    string

	mu   sync.Mutex
	held map[Setting]*recording
	left map[Setting]int // cases that still need a setting's recordings
}

type recording struct {
	once sync.Once
	path string
	err  error
}

func newRecordings(r *session.Runner, dir string, cases []Case) *recordings {
	all := &recordings{runner: r, dir: dir, held: map[Setting]*recording{}, left: map[Setting]int{}}
	for _, c := range cases {
		all.left[c.Setting]++
	}
	return all
}

// reference returns the file of llama.cpp's recording of a setting.
func (r *recordings) reference(ctx context.Context, s Setting) (string, error) {
	r.mu.Lock()
	rec := r.held[s]
	if rec == nil {
		rec = &recording{path: s.file(r.dir)}
		r.held[s] = rec
	}
	r.mu.Unlock()
	rec.once.Do(func() {
		job := s.job(engines.LlamaCPU)
		job.Passes = []session.Pass{{Name: "record", Decode: s.Decode, Trace: rec.path}}
		_, rec.err = r.runner.Do(ctx, job)
	})
	return rec.path, rec.err
}

// ours records ours under a setting, fed what the reference was fed, to path.
// Memory that nobody wrote holds NaN or, for a second look, ordinary numbers.
func (r *recordings) ours(ctx context.Context, s Setting, faults []string, ordinary bool, path string) error {
	ref, err := r.reference(ctx, s)
	if err != nil {
		return err
	}
	leader, err := trace.Open(ref)
	if err != nil {
		return err
	}
	meta := leader.Meta()
	leader.Close()
	job := s.job(engines.OursEmu)
	job.Tokens, job.Spec.Context = meta.Tokens, len(meta.Tokens)
	job.Spec.Faults, job.Spec.Ordinary = faults, ordinary
	job.Passes = []session.Pass{{Name: "record", Steps: meta.Steps, Trace: path}}
	_, err = r.runner.Do(ctx, job)
	return err
}

// release says that a case is done with its setting; after the last one the
// shared recordings are removed.
func (r *recordings) release(s Setting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left[s]--; r.left[s] > 0 {
		return
	}
	// A file that stays until the folder goes does no harm.
	_ = os.Remove(s.file(r.dir))
}
