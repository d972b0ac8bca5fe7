package cli

import (
	"context"
	"flag"

	"attndiff/harness/session"
)

// workerCommand is the child's side of every run; people have no use for it.
func workerCommand(a *App, _ *flag.FlagSet) func(context.Context, []string) (int, error) {
	return func(context.Context, []string) (int, error) {
		return Parity, session.Work(a.Stdin, a.Open)
	}
}
