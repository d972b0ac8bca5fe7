package cli

import (
	"context"
	"flag"
	"time"

	"attndiff/harness/session"
)

// compareCommand is diff with two traces: nothing runs.
func compareCommand(a *App, fs *flag.FlagSet) func(context.Context, []string) (int, error) {
	d := &diff{App: a}
	d.fs = fs
	fs.StringVar(&d.model, "model", "", "GGUF `FILE` both were recorded from: judges each op by itself; without it drift alone is judged")
	fs.StringVar(&d.out, "out", defaultOut, "`DIR` for report.json")
	fs.BoolVar(&d.json, "json", false, "print JSON on standard output and nothing else there")
	return func(ctx context.Context, args []string) (int, error) {
		d.began = time.Now()
		d.kv, d.repeat, d.timeout = "f16", 1, time.Second // unused: no engine runs
		d.reference = session.Side{Trace: args[0]}.String()
		d.ours = session.Side{Trace: args[1]}.String()
		return d.run(ctx)
	}
}
