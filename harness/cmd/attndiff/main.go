// Command attndiff runs llama.cpp and our CUDA kernels on the same tokens and
// names every op that differs; `attndiff help` lists what it does.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"attndiff/harness/cli"
	"attndiff/harness/engines"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.New(engines.Open).Run(ctx, os.Args[1:]))
}
