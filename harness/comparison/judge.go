package comparison

import (
	"errors"
	"fmt"

	"attndiff/harness/diagnose"
	"attndiff/harness/verdict"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Judge holds recordings of ours against the reference's.
type Judge struct {
	Reference *trace.Reader
	Model     *gguf.File // nil: drift alone is judged
	// Unstable are the recordings that differ between identical runs of ours; nil
	// when ours ran once.
	Unstable map[tap.Key]bool

	// Again records ours once more, with ordinary numbers in memory that nobody
	// wrote, and returns the file; nil when ours cannot run again.
	Again func() (file string, err error)
	// Progress is called with the share of a recording judged, from any
	// goroutine; may be nil.
	Progress func(done float64)
	// Stop is asked often, from any goroutine; an error ends the work with it.
	// May be nil.
	Stop func() error
}

// Seen is one recording of ours and what it shows.
type Seen struct {
	Trace  *trace.Reader
	Result *verdict.Result
}

// Judgement is what recordings of one run of ours show together. The caller
// closes it.
type Judgement struct {
	First  *Seen // the run itself
	Again  *Seen // with ordinary numbers in unwritten memory; nil when NaN hid nothing
	Result *verdict.Result

	seen  []*Seen
	bench diagnose.Bench // the last recording that shows wrong ops
}

// Judge judges the recording of ours in file and, unless it is "", that of a
// repeated run which came out differently. Where values that are not finite
// kept ops from being judged, ours is recorded again.
func (j *Judge) Judge(file, differing string) (*Judgement, error) {
	v := &Judgement{bench: diagnose.Bench{Reference: j.Reference, Model: j.Model, Unstable: j.Unstable, Stop: j.Stop}}
	if err := j.all(v, file, differing); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

func (j *Judge) all(v *Judgement, file, differing string) error {
	var err error
	if v.First, err = j.see(v, file); err != nil {
		return err
	}
	v.Result = v.First.Result
	if differing != "" {
		repeated, err := j.see(v, differing)
		if err != nil {
			return err
		}
		v.Result, _ = verdict.Merge(v.Result, repeated.Result, "in a repeated run", func(verdict.Tap) bool { return true })
	}
	if !v.Result.Blind() || j.Again == nil {
		return nil
	}
	again, err := j.Again()
	if err != nil {
		return err
	}
	if v.Again, err = j.see(v, again); err != nil {
		return err
	}
	if v.bench.Ours == v.Again.Trace {
		poisoned := v.bench
		poisoned.Ours, poisoned.Result = v.First.Trace, v.First.Result
		v.bench.Poisoned = &poisoned
	}
	merged, n := verdict.Merge(v.Result, v.Again.Result, "in the run with ordinary numbers in unwritten memory",
		func(t verdict.Tap) bool { return t.Blind })
	merged.Notes = append(merged.Notes, fmt.Sprintf(
		"ours holds values that are not finite; run again with ordinary numbers in memory that nobody wrote, %d more recordings are seen to be wrong", n))
	v.Result = merged
	return nil
}

// see judges one recording. The last one with wrong ops is the one that
// experiments are made on.
func (j *Judge) see(v *Judgement, file string) (*Seen, error) {
	ours, err := trace.Open(file)
	if err != nil {
		return nil, err
	}
	s := &Seen{Trace: ours}
	v.seen = append(v.seen, s)
	if s.Result, err = verdict.Judge(j.Reference, ours, j.Model, verdict.Options{Progress: j.Progress, Stop: j.Stop}); err != nil {
		return nil, err
	}
	if s.Result.First != nil || v.bench.Ours == nil {
		v.bench.Ours, v.bench.Result = s.Trace, s.Result
	}
	return s, nil
}

// Causes explains every wrong op.
func (v *Judgement) Causes() ([]diagnose.Diagnosis, error) { return diagnose.Run(v.bench) }

// Choice explains the greedy choices that a recording's own logits refute; nil
// when there are none.
func (v *Judgement) Choice() (*diagnose.Diagnosis, error) {
	for _, s := range v.seen {
		d, err := diagnose.Choice(diagnose.Bench{Ours: s.Trace, Result: s.Result})
		if d != nil || err != nil {
			return d, err
		}
	}
	return nil, nil
}

// Limits lists the mistakes that the run could not have shown.
func (v *Judgement) Limits() ([]diagnose.Limit, error) { return diagnose.Limits(v.whole()) }

// Cleared lists what is odd in ours and right.
func (v *Judgement) Cleared() ([]diagnose.Suspicion, error) { return diagnose.Cleared(v.whole()) }

// whole is the bench with what any recording showed to be wrong.
func (v *Judgement) whole() diagnose.Bench {
	b := v.bench
	b.Result = v.Result
	return b
}

// Close closes the recordings.
func (v *Judgement) Close() error {
	var errs []error
	for _, s := range v.seen {
		errs = append(errs, s.Trace.Close())
	}
	return errors.Join(errs...)
}
