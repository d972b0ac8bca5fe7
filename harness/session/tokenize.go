package session

import (
	"context"
	"strings"
)

// tokenizer turns text into ids for engines that take ids only.
const tokenizer = "llama.cpp:cpu"

// tokenizes reports whether an engine has a tokenizer of its own.
func tokenizes(engine string) bool { return strings.HasPrefix(engine, "llama.cpp:") }

// Resolve makes a job's prompt ids when its engine takes ids only: it runs
// llama.cpp's tokenizer in a worker of its own.
func (j *Job) Resolve(ctx context.Context, r *Runner) error {
	if j.Text == "" || tokenizes(j.Spec.Engine) {
		return nil
	}
	ask := Job{Spec: j.Spec, Model: j.Model, Text: j.Text}
	ask.Spec.Engine, ask.Spec.Faults = tokenizer, nil
	res, err := r.Do(ctx, ask)
	if err != nil {
		return err
	}
	j.Text, j.Tokens = "", res.Prompt
	return nil
}
