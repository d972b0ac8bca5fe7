package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"attndiff/harness/diagnose"
	"attndiff/harness/engines"
	"attndiff/harness/report"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/gguf"
	"attndiff/traces/trace"
)

// judge has both recordings of a run judged, the wrong ops explained and the
// report's input completed. Without a model drift alone is judged and ids stay
// ids.
func (d *diff) judge(ctx context.Context, plan *session.Plan, runner *session.Runner, in *report.Input, model *gguf.File, p *progress) error {
	began := time.Now()
	ref, err := trace.Open(in.Run.Reference.File)
	if err != nil {
		return err
	}
	defer ref.Close()
	bench := diagnose.Bench{Reference: ref, Model: model}
	defer func() {
		if bench.Ours != nil {
			bench.Ours.Close()
		}
	}()
	// see judges one recording of ours; the last one with wrong ops is the one
	// that experiments are made on.
	see := func(file string) (*verdict.Result, error) {
		ours, err := trace.Open(file)
		if err != nil {
			return nil, err
		}
		result, err := verdict.Judge(ref, ours, model, verdict.Options{Progress: p.share})
		if err != nil || result.First == nil && bench.Ours != nil {
			return result, errors.Join(err, ours.Close())
		}
		if bench.Ours != nil {
			bench.Ours.Close()
		}
		bench.Ours, bench.Result = ours, result
		return result, nil
	}
	if in.Result, err = see(in.Run.Ours.File); err != nil {
		return err
	}
	if in.Run.Differing != "" {
		again, err := see(in.Run.Differing)
		if err != nil {
			return err
		}
		in.Result, _ = verdict.Merge(in.Result, again, "in a repeated run", func(verdict.Tap) bool { return true })
	}
	if in.Result.Blind() && plan.Ours.Trace == "" {
		rec, err := plan.Again(ctx, runner, in.Run)
		if err != nil {
			return err
		}
		again, err := see(rec.File)
		if err != nil {
			return err
		}
		merged, n := verdict.Merge(in.Result, again, "in the run with ordinary numbers in unwritten memory",
			func(t verdict.Tap) bool { return t.Blind })
		merged.Notes = append(merged.Notes, fmt.Sprintf(
			"ours holds values that are not finite; run again with ordinary numbers in memory that nobody wrote, %d more recordings are seen to be wrong", n))
		in.Result = merged
	}
	if model != nil {
		vocab, err := model.Vocab()
		if err != nil {
			return err
		}
		in.Decode = vocab.Decode
	}
	if strings.HasPrefix(in.Run.Ours.Meta.Engine, "ours:") {
		in.Locate = engines.Locate
	}
	if strings.HasPrefix(in.Run.Reference.Meta.Engine, "llama.cpp:") {
		in.Match = engines.Match
	}
	in.Timing["compare"] = time.Since(began).Seconds()
	began = time.Now()
	if in.Diagnoses, err = diagnose.Run(bench); err != nil {
		return err
	}
	in.Timing["diagnose"] = time.Since(began).Seconds()
	began = time.Now()
	bench.Result = in.Result // what any run of ours saw to be wrong
	if in.Limits, err = diagnose.Limits(bench); err != nil {
		return err
	}
	in.Cleared, err = diagnose.Cleared(bench)
	in.Timing["limits"] = time.Since(began).Seconds()
	return err
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

// status is the exit status a report stands for.
func status(r *report.Report) int {
	if r.Verdict == verdict.Parity {
		return Parity
	}
	return Divergence
}

// share reports how much is judged.
func (p *progress) share(done float64) {
	if p.tty && time.Since(p.when) >= redraw {
		p.draw(fmt.Sprintf("comparing: %.0f %%", 100*done))
	} else if !p.tty {
		p.say("comparing")
	}
}
