package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Runner starts workers.
type Runner struct {
	Worker   []string       // the command line that runs Work, path first
	Timeout  time.Duration  // longest a job may take; 0 for no limit
	Progress func(Progress) // called from one goroutine as a job moves on; may be nil
}

// Progress is where a worker is.
type Progress struct {
	Engine string
	Stage  string  // "open", "record s0003", ...
	Share  float64 // of the job's steps that are done, 0 to 1
}

// Do runs one job in a worker of its own and waits for its end. The error is
// an [InputError] when the worker blames its input, a [Failure] when the
// engine failed, and wraps ctx.Err() when the caller gave up. Either way no process is
// left.
func (r *Runner) Do(ctx context.Context, job Job) (*Result, error) {
	text, err := json.Marshal(job)
	if err != nil {
		return nil, fmt.Errorf("job for %s: %w", job.Spec.Engine, err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to a worker: %w", err)
	}
	defer read.Close()
	mark, shared, err := newMark()
	if err != nil {
		write.Close()
		return nil, err
	}
	defer mark.close()

	limited, cancel := ctx, context.CancelFunc(func() {})
	if r.Timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, r.Timeout)
	}
	defer cancel()
	said := &tail{}
	cmd := r.command(limited, said)
	cmd.ExtraFiles = []*os.File{write, shared} // eventsFD, markFD
	cmd.Stdin = bytes.NewReader(text)

	ended := make(chan error, 1)
	go func() {
		// Pdeathsig fires when the thread that started the child ends, so
		// the thread is kept until the child has gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		write.Close()
		shared.Close()
		if err == nil {
			err = cmd.Wait()
		}
		ended <- err
	}()
	w := watch{steps: job.steps(), Failure: Failure{Engine: job.Spec.Engine, Stage: "start"}, tell: r.Progress}
	receive(read, w.take)
	err = <-ended
	w.At = mark.String()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: interrupted during %s; nothing was written: %w", w.Engine, w.Stage, ctx.Err())
	}
	return w.outcome(err, limited.Err() != nil, r.Timeout, said.Lines())
}

// command prepares the worker's process: a group of its own, so that whatever
// it starts dies with it, and death with the harness.
func (r *Runner) command(ctx context.Context, stderr *tail) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.Worker[0], r.Worker[1:]...)
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second // for grandchildren that hold stderr open
	// Without these a crash ends in pages of stacks that push the message
	// itself out of the last lines.
	cmd.Env = append(os.Environ(), "GOTRACEBACK=none", "GGML_NO_BACKTRACE=1")
	return cmd
}

// The descriptors a worker inherits beside the standard three.
const (
	eventsFD = 3 // the pipe its frames go to
	markFD   = 4 // the memory of its mark
)

// watch follows a worker's frames.
type watch struct {
	Failure // what it would be if the worker ended now
	tell    func(Progress)
	steps   int // of all passes, at most
	begun   int // of those
	result  *Result
	refusal *frame
}

func (w *watch) take(fr frame) {
	switch {
	case fr.Done != nil:
		w.result = fr.Done
	case fr.Error != "":
		w.refusal = &fr
	case fr.Stage != "":
		w.Stage = fr.Stage
		if fr.Step {
			w.begun++
		}
	}
	if w.tell != nil {
		w.tell(Progress{w.Engine, w.Stage, float64(max(w.begun-1, 0)) / float64(max(w.steps, 1))})
	}
}

// outcome turns a worker's end into a result or an error.
func (w *watch) outcome(err error, late bool, timeout time.Duration, stderr []string) (*Result, error) {
	if !late {
		timeout = 0
	}
	switch {
	case w.result != nil:
		return w.result, nil
	case w.refusal != nil && w.refusal.Input:
		return nil, &InputError{errors.New(w.refusal.Error)}
	case w.refusal != nil:
		w.Reason = "gave up: " + w.refusal.Error
	default:
		w.Reason = reason(err, timeout, stderr)
	}
	f := w.Failure
	f.Stderr = stderr
	return nil, &f
}
