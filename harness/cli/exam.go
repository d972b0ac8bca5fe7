package cli

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"attndiff/harness/exam"
	"attndiff/harness/session"
	"attndiff/ours/faults"
	"attndiff/traces/models"
	"attndiff/traces/prompts"
)

// faultsRunCommand measures the harness against the planted faults.
func faultsRunCommand(a *App, fs *flag.FlagSet) func(context.Context, []string) (int, error) {
	e := &exam.Exam{}
	fs.IntVar(&e.Sample, "sample", 0, "run only `N` cases of each kind: single faults, pairs, triples, clean runs")
	fs.IntVar(&e.Jobs, "jobs", 2, "run `N` cases at a time")
	fs.Uint64Var(&e.Seed, "seed", 1, "`N` that pairs, triples and the sample are drawn from")
	only := fs.String("fault", "", "run only the cases that plant one of the faults `NAME[,NAME]`")
	on := fs.String("prompt", "", "run only the cases on the prompts `NAME[,NAME]`")
	out := fs.String("out", "traces", "`DIR` for faults.md and faults.json")
	timeout := fs.Duration("timeout", 2*time.Minute, "longest `TIME` one run of an engine may take")
	asJSON := fs.Bool("json", false, "print JSON on standard output and nothing else there")
	return func(ctx context.Context, _ []string) (int, error) {
		if e.Sample < 0 || e.Jobs < 1 || *timeout <= 0 {
			return 0, fmt.Errorf("faults run: --sample %d, --jobs %d, --timeout %v: give a sample of 0 or more, one job or more and some time",
				e.Sample, e.Jobs, *timeout)
		}
		var err error
		if e.Faults, err = faults.Select(*only); err != nil {
			return 0, fmt.Errorf("--fault: %w", err)
		}
		if e.Prompts, err = promptNames(*on); err != nil {
			return 0, fmt.Errorf("--prompt: %w", err)
		}
		path, err := models.Path()
		if err != nil {
			return 0, err
		}
		work, err := session.NewWorkspace(*out)
		if err != nil {
			return 0, err
		}
		defer work.Close()
		e.Model, e.Dir = path, work.Dir()
		e.Runner = &session.Runner{Worker: a.Worker, Timeout: *timeout}
		progress := newProgress(a.Stderr, *asJSON)
		e.Progress = progress.cases
		results, err := e.Results(ctx)
		progress.done()
		if err != nil {
			return 0, err
		}
		if err := results.Write(*out); err != nil {
			return 0, err
		}
		if *asJSON {
			err = printJSON(a.Stdout, results)
		} else {
			err = results.Markdown(a.Stdout)
		}
		if err == nil && len(results.Verdict) > 0 {
			return Divergence, nil
		}
		return Parity, err
	}
}

// promptNames reads a list of names of prompts; none is none.
func promptNames(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	names := strings.Split(list, ",")
	for _, name := range names {
		if _, err := prompts.Load(name); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// cases follows an exam: it says at once what went wrong in a case, and how far
// the exam is.
func (p *progress) cases(done, all int, m *exam.Mark) {
	if p.w == nil {
		return
	}
	for _, flaw := range m.Flaws() {
		p.done()
		fmt.Fprintln(p.w, flaw)
	}
	p.tally(done, all, m.Case.String())
}
