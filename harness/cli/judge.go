package cli

import (
	"fmt"
	"strings"
	"time"

	"attndiff/harness/engines"
	"attndiff/harness/report"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/gguf"
	"attndiff/traces/trace"
)

// judge opens both recordings of a run, has them judged and completes the
// report's input. Without a model drift alone is judged and ids stay ids.
func judge(in *report.Input, model *gguf.File, p *progress) error {
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
	defer ours.Close()
	if in.Result, err = verdict.Judge(ref, ours, model, verdict.Options{Progress: p.share}); err != nil {
		return err
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
	return nil
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
