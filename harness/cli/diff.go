package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"attndiff/harness/comparison"
	"attndiff/harness/engines"
	"attndiff/harness/report"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/gguf"
	"attndiff/traces/models"
)

// diff is one run of the diff command.
type diff struct {
	*App
	runFlags
	reference, ours string
	out             string
	chosen          string // why ours is what it is, when nobody said
	repeat          int
	began           time.Time
}

func diffCommand(a *App, fs *flag.FlagSet) func(context.Context, []string) (int, error) {
	d := &diff{App: a}
	d.declare(fs)
	fs.StringVar(&d.reference, "reference", engines.LlamaCPU, "reference `ENGINE`, or trace:FILE")
	fs.StringVar(&d.ours, "ours", engines.Auto, "our `ENGINE`, or trace:FILE; auto uses the GPU where there is one")
	fs.StringVar(&d.out, "out", defaultOut, "`DIR` for report.json and the traces")
	fs.IntVar(&d.repeat, "repeat", 1, "run ours `N` times and flag taps that differ between runs")
	return func(ctx context.Context, _ []string) (int, error) {
		d.began = time.Now()
		return d.run(ctx)
	}
}

// defaultOut is where reports go when nothing is said.
const defaultOut = ".plan"

// run checks the input as far as that needs no engine, runs the plan, judges
// and reports.
func (d *diff) run(ctx context.Context) (int, error) {
	plan, in, model, err := d.plan()
	if err != nil {
		return 0, err
	}
	if model != nil {
		defer model.Close()
	}
	work, err := session.NewWorkspace(d.out)
	if err != nil {
		return 0, err
	}
	defer work.Close()
	plan.Dir = work.Dir()

	progress := newProgress(d.Stderr, d.json)
	runner := &session.Runner{Worker: d.Worker, Timeout: d.timeout, Progress: progress.engine}
	c := comparison.Comparison{Plan: plan, Runner: runner, Model: model, Began: d.began, Input: *in, Progress: progress.share}
	if d.chosen != "" {
		c.Notes = []string{d.chosen}
	}
	out, err := c.Run(ctx)
	if out == nil {
		progress.done()
		return 0, err
	}
	return status(out.Report), errors.Join(err, d.publish(out, work, progress))
}

// plan turns the flags into what is to be run. model is nil when no model is
// needed: both sides are traces and none was given.
func (d *diff) plan() (*session.Plan, *report.Input, *gguf.File, error) {
	bad := func(err error) (*session.Plan, *report.Input, *gguf.File, error) { return nil, nil, nil, err }
	if err := d.check(); err != nil {
		return bad(err)
	}
	if d.repeat < 1 {
		return bad(fmt.Errorf("--repeat %d: ours runs at least once; give 1 or more", d.repeat))
	}
	if d.ours == engines.Auto {
		name, why := engines.Choose()
		d.ours, d.chosen = name, fmt.Sprintf("ours is %s: %s", name, why)
	}
	plan := &session.Plan{Decode: d.steps, Repeat: d.repeat}
	in := &report.Input{Command: commandLine(d.App.args)}
	var err error
	if plan.Reference, err = side("reference", d.reference); err != nil {
		return bad(err)
	}
	if plan.Ours, err = side("ours", d.ours); err != nil {
		return bad(err)
	}
	if plan.Faults, err = d.faults(); err != nil {
		return bad(err)
	}
	in.Faults = plan.Faults
	in.Sides = report.Pair[session.Side]{Reference: plan.Reference, Ours: plan.Ours}
	if err := d.fits(plan); err != nil {
		return bad(err)
	}
	if plan.Reference.Trace == "" && plan.Ours.Trace == "" {
		p, err := d.resolvePrompt()
		if err != nil {
			return bad(err)
		}
		plan.Text, plan.Tokens = p.text, p.tokens
		in.Name, in.Text = p.name, p.text
	}
	if plan.Reference.Trace != "" && plan.Ours.Trace != "" && !d.given("model") {
		return plan, in, nil, nil
	}
	model, err := d.openModel()
	if err != nil {
		return bad(err)
	}
	if err := d.describe(plan, model); err != nil {
		model.Close()
		return bad(err)
	}
	in.Model = report.Model{Hparams: model.Hparams, Name: plan.Model.Name, SHA256: plan.Model.SHA256}
	in.Model.KVType = d.kv
	return plan, in, model, nil
}

// describe fills in what the plan takes from the model.
func (f *runFlags) describe(plan *session.Plan, model *gguf.File) error {
	sum, err := model.SHA256()
	if err != nil {
		return err
	}
	plan.Model = session.Model{Name: model.Name, SHA256: sum, Weights: model.WeightTypes()}
	plan.ContextLimit = model.ContextLength
	plan.Spec = session.Spec{Model: model.Path, KV: f.kv, FlashAttn: f.flash, Path: f.path}
	hp := model.Hparams
	hp.KVType = f.kv
	if err := f.attention().Check(hp); err != nil {
		return fmt.Errorf("--path: %w", err)
	}
	plan.Select, err = f.selection(model.Hparams.NLayer)
	return err
}

// fits refuses flags that have nothing to act on beside a trace.
func (d *diff) fits(plan *session.Plan) error {
	if plan.Ours.Trace == "" {
		if err := d.oursOnly("ours", d.ours); err != nil {
			return err
		}
	}
	if plan.Reference.Trace == "" && plan.Ours.Trace == "" {
		return nil
	}
	why := "a side is a trace, which brings its own tokens and steps"
	if err := d.refuse(why, append([]string{"steps", "kv"}, promptFlags...)...); err != nil {
		return err
	}
	if plan.Ours.Trace == "" {
		return nil
	}
	return d.refuse("ours is a trace, which nothing can be changed in or run again", "fault", "repeat", "path")
}

// side reads --reference or --ours.
func side(flagName, name string) (session.Side, error) {
	s, err := session.ParseSide(name)
	if err == nil && s.Trace == "" {
		err = engines.Check(name)
	}
	if err != nil {
		return s, fmt.Errorf("--%s: %w", flagName, err)
	}
	return s, nil
}

// openModel opens --model, or the shipped one.
func (f *runFlags) openModel() (*gguf.File, error) {
	path := f.model
	if path == "" {
		var err error
		if path, err = models.Path(); err != nil {
			return nil, fmt.Errorf("--model: %w", err)
		}
	}
	return engines.OpenModel(path)
}

// publish puts the report in its place and prints it.
func (d *diff) publish(out *comparison.Diff, work *session.Workspace, progress *progress) error {
	progress.say("writing the report")
	path, err := out.Publish(work)
	progress.done()
	if err != nil {
		return err
	}
	if d.json {
		return out.Report.Encode(d.Stdout)
	}
	return out.Report.Print(d.Stdout, path, colourful(d.Stdout))
}

// status is the exit status a report stands for.
func status(r *report.Report) int {
	if r.Verdict == verdict.Parity {
		return Parity
	}
	return Divergence
}
