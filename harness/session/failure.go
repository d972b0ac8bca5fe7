package session

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Failure is an engine that crashed, hung, ran out of memory or gave up.
type Failure struct {
	Engine string   `json:"engine"`
	Reason string   `json:"reason"`             // "killed by SIGABRT", "no end after 10s", ...
	Stage  string   `json:"stage"`              // what the worker was doing: "record s0003"
	At     string   `json:"last_tap,omitempty"` // the last tap recorded in that pass, "" for none
	Stderr []string `json:"stderr,omitempty"`   // the worker's last lines
}

func (f *Failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s during %s", f.Engine, f.Reason, f.Stage)
	if f.At != "" {
		fmt.Fprintf(&b, "; last tap recorded: %s", f.At)
	} else {
		b.WriteString("; no tap recorded yet")
	}
	if len(f.Stderr) > 0 {
		fmt.Fprintf(&b, "; it said: %s", strings.Join(f.Stderr, " | "))
	}
	return b.String()
}

// reason says how a worker ended that sent no result. err is what Wait
// returned; timeout is set when the harness killed it for its time.
func reason(err error, timeout time.Duration, stderr []string) string {
	if timeout > 0 {
		return fmt.Sprintf("no end after %v (--timeout), killed", timeout)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "could not run: " + err.Error()
	}
	if err == nil {
		return "ended without a result"
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok {
		return exit.String()
	}
	if status.Signaled() {
		if status.Signal() == syscall.SIGKILL {
			return "killed by SIGKILL, not by attndiff: out of memory?"
		}
		return fmt.Sprintf("killed by %s (%v)", signalName(status.Signal()), status.Signal())
	}
	// Go's runtime turns a signal in native code into exit status 2 and
	// prints the signal's name on a line of its own.
	for _, line := range stderr {
		if isSignal(line) {
			return "crashed with " + line
		}
	}
	return fmt.Sprintf("ended with exit status %d and no result", status.ExitStatus())
}

// signalName spells the signals a crash comes as.
func signalName(s syscall.Signal) string {
	switch s {
	case syscall.SIGABRT:
		return "SIGABRT"
	case syscall.SIGSEGV:
		return "SIGSEGV"
	case syscall.SIGBUS:
		return "SIGBUS"
	case syscall.SIGILL:
		return "SIGILL"
	case syscall.SIGFPE:
		return "SIGFPE"
	case syscall.SIGTERM:
		return "SIGTERM"
	}
	return fmt.Sprintf("signal %d", int(s))
}
