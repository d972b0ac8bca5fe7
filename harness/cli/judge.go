package cli

import (
	"context"
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
	ours, err := trace.Open(in.Run.Ours.File)
	if err != nil {
		return err
	}
	defer func() { ours.Close() }()
	if in.Result, err = verdict.Judge(ref, ours, model, verdict.Options{Progress: p.share}); err != nil {
		return err
	}
	result := in.Result
	if result.Blind() && plan.Ours.Trace == "" {
		again, err := plan.Again(ctx, runner, in.Run)
		if err != nil {
			return err
		}
		ours.Close()
		if ours, err = trace.Open(again.File); err != nil {
			return err
		}
		if result, err = verdict.Judge(ref, ours, model, verdict.Options{Progress: p.share}); err != nil {
			return err
		}
		in.Result = verdict.Merge(in.Result, result)
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
	in.Timing["compare"] = time.Since(began).Seconds()
	began = time.Now()
	in.Diagnoses, err = diagnose.Run(diagnose.Bench{Reference: ref, Ours: ours, Model: model, Result: result})
	in.Timing["diagnose"] = time.Since(began).Seconds()
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
