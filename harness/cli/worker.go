package cli

import (
	"context"
	"errors"
	"flag"
	"os"
	"syscall"

	"attndiff/harness/session"
)

// workerCommand is the child's side of every run; people have no use for it.
func workerCommand(a *App, _ *flag.FlagSet) func(context.Context, []string) (int, error) {
	return func(context.Context, []string) (int, error) {
		// What the engine starts (a compiler) must not hold the pipe open.
		syscall.CloseOnExec(session.EventsFD)
		events := os.NewFile(session.EventsFD, "events")
		if _, err := events.Stat(); err != nil {
			return 0, errors.New("worker: for attndiff's own use; it is started by diff and record")
		}
		session.Work(a.Stdin, events, a.Open)
		return Parity, nil
	}
}
