package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/traces/trace"
)

// record is one run of the record command.
type record struct {
	*App
	runFlags
	engine, out string
}

func recordCommand(a *App, fs *flag.FlagSet) func(context.Context, []string) (int, error) {
	r := &record{App: a}
	r.declare(fs)
	fs.StringVar(&r.engine, "engine", engines.LlamaCPU, "`ENGINE` to run")
	fs.StringVar(&r.out, "out", "", "trace `FILE` to write")
	return func(ctx context.Context, _ []string) (int, error) { return Parity, r.run(ctx) }
}

func (r *record) run(ctx context.Context) error {
	plan, err := r.plan()
	if err != nil {
		return err
	}
	// Written beside its place first: a worker that is killed leaves nothing.
	work, err := session.NewWorkspace(filepath.Dir(r.out))
	if err != nil {
		return err
	}
	defer work.Close()
	draft := filepath.Join(work.Dir(), filepath.Base(r.out))

	progress := newProgress(r.Stderr, r.json)
	defer progress.done()
	runner := &session.Runner{Worker: r.Worker, Timeout: r.timeout, Progress: progress.engine}
	job := plan.Job(session.Side{Engine: r.engine})
	job.Spec.Faults = plan.Faults
	if err := job.Resolve(ctx, runner); err != nil {
		return err
	}
	job.Passes = []session.Pass{{Name: "record", Decode: r.steps, Trace: draft, Select: plan.Select}}
	if _, err := runner.Do(ctx, job); err != nil {
		return err
	}
	if _, err := work.Keep(draft, filepath.Base(r.out)); err != nil {
		return err
	}
	progress.done()
	return r.print()
}

// plan checks the flags and turns them into what is to be run.
func (r *record) plan() (*session.Plan, error) {
	if r.out == "" {
		return nil, errors.New("record: no --out; name the trace file to write")
	}
	if info, err := os.Stat(r.out); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("record: --out %s: not a regular file; name the trace file to write", r.out)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	if err := engines.Check(r.engine); err != nil {
		return nil, fmt.Errorf("--engine: %w", err)
	}
	plan := &session.Plan{Decode: r.steps}
	var err error
	if plan.Faults, err = r.faults(); err != nil {
		return nil, err
	}
	if err := r.oursOnly("engine", r.engine); err != nil {
		return nil, err
	}
	p, err := r.resolvePrompt()
	if err != nil {
		return nil, err
	}
	plan.Text, plan.Tokens = p.text, p.tokens
	model, err := r.openModel()
	if err != nil {
		return nil, err
	}
	defer model.Close()
	return plan, r.describe(plan, model)
}

// print says what was recorded.
func (r *record) print() error {
	t, err := trace.Open(r.out)
	if err != nil {
		return err
	}
	defer t.Close()
	if r.json {
		return printJSON(r.Stdout, describeTrace(t))
	}
	m := t.Meta()
	fmt.Fprintf(r.Stdout, "%s: %d tensors of %s, %d tokens in %d steps\n", r.out, len(t.Keys()), m.Engine, len(m.Tokens), len(m.Steps))
	return nil
}
