package comparison

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"attndiff/harness/engines"
	"attndiff/harness/report"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Comparison is two sides to run on one prompt.
type Comparison struct {
	Plan   *session.Plan
	Runner *session.Runner
	Model  *gguf.File // nil: drift alone is judged and ids stay ids
	Began  time.Time  // what the total time is counted from

	// Input is what the report is told beside the run and its verdict: names,
	// texts and the command that gives it again.
	Input report.Input
	Notes []string // that come before the run's own
	// Progress is called with the share of a recording judged, from any
	// goroutine; may be nil.
	Progress func(done float64)
}

// Diff is what came of a comparison.
type Diff struct {
	Report *report.Report
	Input  report.Input // all that the report was made of; Run is nil when an engine did not survive
	Model  *gguf.File   // nil when drift alone was judged
}

// Run runs the plan, judges and reports. When an engine did not survive, the
// report says so and comes together with the [session.Failure].
func (c *Comparison) Run(ctx context.Context) (*Diff, error) {
	in := c.Input
	err := c.fill(ctx, &in)
	var died *session.Failure
	if errors.As(err, &died) {
		in.Run = nil
		return &Diff{report.Failed(died, in), in, c.Model}, err
	}
	if err != nil {
		return nil, err
	}
	in.Timing["total"] = time.Since(c.Began).Seconds()
	return &Diff{report.Build(in), in, c.Model}, nil
}

// fill runs both sides and completes the report's input.
func (c *Comparison) fill(ctx context.Context, in *report.Input) error {
	run, err := c.Plan.Execute(ctx, c.Runner)
	if err != nil {
		return err
	}
	run.Notes = append(append([]string{}, c.Notes...), run.Notes...)
	in.Run, in.Timing = run, timing(run)
	if c.Model != nil {
		vocab, err := c.Model.Vocab()
		if err != nil {
			return err
		}
		in.Decode = vocab.Decode
	}
	if strings.HasPrefix(run.Ours.Meta.Engine, "ours:") {
		in.Locate, in.LocateChoice = engines.Locate(run.Ours.Meta.EngineVersion), engines.LocateChoice
	}
	in.Match = engines.Match(run.Reference.Meta.Engine)
	if strings.HasPrefix(run.Reference.Meta.Engine, "llama.cpp:") {
		in.MatchChoice = engines.MatchChoice
	}
	return c.judge(ctx, in)
}

// judge has the recordings judged and the wrong ops explained.
func (c *Comparison) judge(ctx context.Context, in *report.Input) error {
	began := time.Now()
	lap := func(stage string) {
		in.Timing[stage] = time.Since(began).Seconds()
		began = time.Now()
	}
	ref, err := trace.Open(in.Run.Reference.File)
	if err != nil {
		return err
	}
	defer ref.Close()
	j := Judge{Reference: ref, Model: c.Model, Unstable: unstable(in.Run), Progress: c.Progress, Stop: interrupted(ctx)}
	if c.Plan.Ours.Trace == "" {
		j.Again = func() (string, error) {
			rec, err := c.Plan.Again(ctx, c.Runner, in.Run)
			if err != nil {
				return "", err
			}
			return rec.File, nil
		}
	}
	v, err := j.Judge(in.Run.Ours.File, in.Run.Differing)
	if err != nil {
		return err
	}
	defer v.Close()
	in.Result = warned(v.Result, in.Run.Warnings)
	lap("compare")
	if in.Diagnoses, err = v.Causes(); err != nil {
		return err
	}
	if in.Choice, err = v.Choice(); err != nil {
		return err
	}
	lap("diagnose")
	if in.Limits, err = v.Limits(); err != nil {
		return err
	}
	in.Cleared, err = v.Cleared()
	lap("limits")
	return err
}

// unstable is the set of a run's unstable recordings.
func unstable(run *session.Run) map[tap.Key]bool {
	set := map[tap.Key]bool{}
	for _, u := range run.Unstable {
		set[u.Key] = true
	}
	return set
}

// warned lets what ours' device noticed count, whatever the values.
func warned(r *verdict.Result, list []session.Warning) *verdict.Result {
	merged := *r
	nan := math.NaN()
	for _, w := range list {
		if k, err := tap.ParseKey(w.At); err == nil {
			merged.Break(k, w.String(), verdict.Peak{Ours: nan, Reference: nan, Oracle: nan})
		}
	}
	return &merged
}

// interrupted words the end of a context while recordings are judged.
func interrupted(ctx context.Context) func() error {
	return func() error {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("interrupted while judging; nothing was written: %w", err)
		}
		return nil
	}
}

// timing lists what a run took: each engine's passes and their sum.
func timing(run *session.Run) report.Timing {
	t := report.Timing{}
	for role, rec := range map[string]*session.Recording{"reference": run.Reference, "ours": run.Ours} {
		for stage, seconds := range rec.Seconds {
			t[role+"."+stage] = seconds
			t[role] += seconds
		}
	}
	return t
}
