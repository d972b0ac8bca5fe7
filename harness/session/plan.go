package session

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
)

// Plan is a comparison to run: two sides, one model, one prompt.
type Plan struct {
	Reference, Ours Side
	Spec            Spec  // what both engines share; Engine, Faults and Context are set per side
	Model           Model // identity of Spec.Model
	ContextLimit    int   // tokens the model was made for; 0 for no limit

	Text   string  // the prompt as text, tokenized by llama.cpp,
	Tokens []int32 // or as ids; neither when a side is a trace
	Decode int     // greedy steps after the prompt

	// Steps, when set, says how many of Tokens each step takes; nothing is
	// decoded beyond them. The reference then runs on tokens that were chosen
	// before, and once freely from those of step 0.
	Steps []int

	Select Selection
	Faults []string // planted in ours only
	Repeat int      // runs of ours; taps that differ between them are unstable
	Dir    string   // folder the recordings are written to
}

// Run is what came of a plan.
type Run struct {
	Reference, Ours *Recording
	Prompt          []int32   // tokens of the prompt: given, or those of step 0
	Notes           []string  // what a reader must know before the verdict
	Warnings        []Warning // that ours made of its own run: each is a mistake, whatever the values
	Unstable        []Unstable
	Differing       string // trace of the first repeated run of ours that differs; "" when none does
}

// Execute runs the plan. One side leads: it chooses the tokens, and the other
// is fed the same tokens in the same steps. A trace leads; of two engines the
// reference does. With two traces nothing runs.
func (p *Plan) Execute(ctx context.Context, r *Runner) (*Run, error) {
	run := &Run{}
	var err error
	switch {
	case p.Reference.Trace != "" && p.Ours.Trace != "":
		if run.Reference, err = load(p.Reference); err == nil {
			run.Ours, err = load(p.Ours)
		}
		for _, rec := range []*Recording{run.Reference, run.Ours} {
			if err == nil && p.Spec.Model != "" {
				err = p.accepts(rec)
			}
		}
	case p.Reference.Trace != "":
		if run.Reference, err = load(p.Reference); err == nil {
			run.Ours, err = p.follow(ctx, r, p.Ours, "ours", run.Reference, run)
		}
	case p.Ours.Trace != "":
		if run.Ours, err = load(p.Ours); err == nil {
			run.Reference, err = p.follow(ctx, r, p.Reference, "reference", run.Ours, run)
		}
	default:
		if run.Reference, err = p.lead(ctx, r, run); err == nil {
			run.Ours, err = p.follow(ctx, r, p.Ours, "ours", run.Reference, run)
		}
	}
	if err != nil {
		return nil, err
	}
	if run.Prompt == nil {
		run.Prompt = run.Reference.Meta.Tokens[:run.Reference.Meta.Steps[0]]
	}
	return run, Match(run.Reference, run.Ours)
}

// lead runs the reference from the prompt on its own choices, or in the plan's
// steps: once recorded, once plain.
func (p *Plan) lead(ctx context.Context, r *Runner, run *Run) (*Recording, error) {
	file := filepath.Join(p.Dir, "reference.safetensors")
	job := p.Job(p.Reference)
	if err := job.Resolve(ctx, r); err != nil {
		return nil, err
	}
	job.Warm = true
	job.Passes = []Pass{
		{Name: "record", Decode: p.Decode, Steps: p.Steps, Trace: file, Select: p.Select},
		{Name: "plain", Decode: p.Decode, Steps: p.Steps},
	}
	if len(p.Steps) > 1 {
		job.Passes = append(job.Passes, Pass{Name: "free", Prompt: p.Steps[0], Decode: len(p.Steps) - 1})
	}
	res, err := r.Do(ctx, job)
	if err != nil {
		return nil, err
	}
	if run.Prompt = res.Prompt; p.Steps != nil {
		run.Prompt = res.Prompt[:p.Steps[0]]
	}
	run.warn(res, false)
	run.note(captureNote(res))
	own := 0
	if len(p.Steps) > 1 {
		own = len(res.Passes) - 1
	}
	return recorded(p.Reference, file, job, res, &res.Passes[own]), nil
}

// follow runs an engine on the leader's tokens in the leader's steps, then
// freely from the tokens of step 0. Role "ours" has the faults planted and is
// repeated; role "reference" is checked against a plain pass.
func (p *Plan) follow(ctx context.Context, r *Runner, side Side, role string, leader *Recording, run *Run) (*Recording, error) {
	if err := p.accepts(leader); err != nil {
		return nil, err
	}
	steps := leader.Meta.Steps
	file := filepath.Join(p.Dir, role+".safetensors")
	job := p.following(side, leader)
	job.Passes = []Pass{{Name: "record", Steps: steps, Trace: file, Select: p.Select}}
	if role == "ours" {
		job.Spec.Faults = p.Faults
		job.Spec.Bounds = p.Repeat > 1 // runs of one kind, so that they can be compared
	} else {
		job.Warm = true
		job.Passes = append(job.Passes, Pass{Name: "plain", Steps: steps})
	}
	if len(steps) > 1 {
		job.Passes = append(job.Passes, Pass{Name: "free", Prompt: steps[0], Decode: len(steps) - 1})
	}
	res, err := r.Do(ctx, job)
	if err != nil {
		return nil, err
	}
	run.warn(res, role == "ours")
	if role == "reference" {
		run.note(captureNote(res))
	} else if run.Unstable, run.Differing, err = p.repeat(ctx, r, job, run); err != nil {
		return nil, err
	}
	return recorded(side, file, job, res, &res.Passes[len(res.Passes)-1]), nil
}

// Again runs ours once more on the recorded tokens, with ordinary numbers in
// memory that nobody wrote, and records it beside the first recording.
func (p *Plan) Again(ctx context.Context, r *Runner, run *Run) (*Recording, error) {
	job := p.following(p.Ours, run.Reference)
	job.Spec.Faults = p.Faults
	job.Spec.Ordinary = true
	file := filepath.Join(p.Dir, "ours-again.safetensors")
	job.Passes = []Pass{{Name: "again", Steps: run.Reference.Meta.Steps, Trace: file, Select: p.Select}}
	res, err := r.Do(ctx, job)
	if err != nil {
		return nil, err
	}
	return recorded(p.Ours, file, job, res, &res.Passes[0]), nil
}

// following is the job of running an engine on the leader's tokens, without
// passes.
func (p *Plan) following(side Side, leader *Recording) Job {
	job := p.Job(side)
	job.Text, job.Tokens = "", leader.Meta.Tokens
	job.Spec.Context = len(job.Tokens)
	if kv := leader.Meta.Hparams.KVType; kv != "" {
		job.Spec.KV = kv
	}
	return job
}

// Job is the plan's prompt for one engine, without passes.
func (p *Plan) Job(side Side) Job {
	job := Job{Spec: p.Spec, Model: p.Model, Text: p.Text, Tokens: p.Tokens}
	job.Spec.Engine = side.Engine
	// A byte-level vocabulary spends at most one token a byte, and one more
	// may be put in front.
	job.Spec.Context = max(len(p.Tokens), len(p.Text)+1) + p.Decode
	if p.ContextLimit > 0 {
		job.Spec.Context = min(job.Spec.Context, p.ContextLimit)
	}
	return job
}

func (r *Run) note(s string) {
	if s != "" && !slices.Contains(r.Notes, s) {
		r.Notes = append(r.Notes, s)
	}
}

// captureNote compares the recorded pass of a job, its first, with the plain
// one, its second.
func captureNote(res *Result) string {
	rec, plain := res.Passes[0], res.Passes[1]
	for i, d := range rec.Logits {
		if i >= len(plain.Logits) || plain.Logits[i] != d {
			return fmt.Sprintf("%s gives other logits while recording than without it, first at step %d: its recording is not what it does in production",
				res.Info.Engine, i)
		}
	}
	return ""
}
