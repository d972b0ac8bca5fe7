package cli

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"syscall"

	"attndiff/harness/session"
)

// workerCommand is the child's side of every run; people have no use for it.
func workerCommand(a *App, _ *flag.FlagSet) func(context.Context, []string) (int, error) {
	return func(context.Context, []string) (int, error) {
		events := os.NewFile(session.EventsFD, "events")
		if info, err := events.Stat(); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
			return 0, errors.New("worker: for attndiff's own use; it is started by diff and record")
		}
		// What the engine starts (a compiler) must not hold the pipe open.
		syscall.CloseOnExec(session.EventsFD)
		session.Work(a.Stdin, events, a.Open)
		return Parity, nil
	}
}
