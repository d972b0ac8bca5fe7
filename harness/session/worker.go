package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Work is the worker's whole life: it reads one job, opens its engine, runs
// the passes and sends frames. What goes wrong is sent as a frame too. The
// error is that of a process that no harness started.
func Work(job io.Reader, open Opener) error {
	events, err := inherit(eventsFD, fs.ModeNamedPipe)
	if err != nil {
		return err
	}
	shared, err := inherit(markFD, 0)
	if err != nil {
		return err
	}
	mark, err := openMark(shared)
	if err != nil {
		return err
	}
	out := &frames{w: events, mark: mark}
	result, err := work(job, out, open)
	if err != nil {
		var input *InputError
		err = unwritable(err)
		out.send(frame{Error: err.Error(), Input: errors.As(err, &input)})
		return nil
	}
	out.send(frame{Done: result})
	return nil
}

// unwritable makes an error about room on the user's disk one about input: no
// engine failed.
func unwritable(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS} {
		if errors.Is(err, full) {
			return &InputError{fmt.Errorf("%w; make room there, or choose another --out", err)}
		}
	}
	return err
}

// inherit returns the file that the harness left at a descriptor. What the
// engine starts in turn (a compiler) does not inherit it: it would hold the
// pipe open after the worker's death.
func inherit(fd uintptr, kind fs.FileMode) (*os.File, error) {
	f := os.NewFile(fd, "inherited")
	info, err := f.Stat()
	if err != nil || info.Mode().Type() != kind {
		return nil, errors.New("worker: for attndiff's own use; diff and record start it")
	}
	syscall.CloseOnExec(int(fd))
	return f, nil
}

func work(r io.Reader, out *frames, open Opener) (*Result, error) {
	var job Job
	if err := json.NewDecoder(r).Decode(&job); err != nil {
		return nil, fmt.Errorf("worker: job on standard input: %w; this command is for attndiff's own use", err)
	}
	out.send(frame{Stage: "open"})
	began := time.Now()
	eng, err := open(job.Spec)
	if err != nil {
		return nil, err
	}
	defer eng.Close()
	res := &Result{Info: eng.Info(), Seconds: time.Since(began).Seconds()}

	res.Prompt = job.Tokens
	if job.Text != "" {
		out.send(frame{Stage: "tokenize"})
		if res.Prompt, err = eng.Tokenize(job.Text); err != nil {
			return nil, err
		}
	}
	if err := job.check(res.Prompt, res.Info.Hparams.NVocab); err != nil {
		return nil, &InputError{err}
	}
	if job.Warm {
		out.send(frame{Stage: "warm-up"})
		if _, err := eng.Step(0, res.Prompt[:1], nil); err != nil {
			return nil, err
		}
	}
	for i := range job.Passes {
		if i > 0 || job.Warm {
			if err := eng.Reset(); err != nil {
				return nil, err
			}
		}
		p, err := job.run(&job.Passes[i], eng, res, out)
		if err != nil {
			return nil, err
		}
		res.Passes = append(res.Passes, *p)
	}
	res.Warnings = perTap(eng.Warnings())
	return res, nil
}

// check rejects a prompt that the engine must not be given.
func (j *Job) check(prompt []int32, vocab int) error {
	if len(prompt) == 0 {
		return errors.New("prompt: no tokens; give at least one")
	}
	for i, id := range prompt {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("prompt: token %d at position %d is outside the vocabulary; ids run from 0 to %d", id, i, vocab-1)
		}
	}
	for _, p := range j.Passes {
		n := len(prompt)
		if p.Prompt > 0 {
			n = p.Prompt
		}
		if n+p.Decode > j.Spec.Context {
			return fmt.Errorf("prompt: %d tokens and %d decoded ones do not fit the context of %d; shorten the prompt or lower --steps",
				n, p.Decode, j.Spec.Context)
		}
	}
	return nil
}
