package cli

import (
	"context"
	"flag"
	"fmt"
	"runtime"

	"attndiff/ours/cuda"
	"attndiff/ours/emu"
	"attndiff/ours/kernels"
	"attndiff/reference/llamacpp"
)

// check is one thing a run needs, or could use.
type check struct {
	name     string
	found    string // what is there, when it is
	err      error  // why not, and what mends it
	optional bool   // the default diff runs without it
}

func doctorCommand(a *App, fs *flag.FlagSet) func(context.Context, []string) (int, error) {
	f := &runFlags{fs: fs}
	fs.StringVar(&f.model, "model", "", "GGUF `FILE` to check (default: the shipped model)")
	return func(context.Context, []string) (int, error) {
		status := Parity
		for _, c := range append([]check{f.checkModel(), checkReference(), checkEmulator()}, checkGPU()...) {
			switch {
			case c.err == nil:
				fmt.Fprintf(a.Stdout, "ok       %-12s %s\n", c.name, c.found)
			case c.optional:
				fmt.Fprintf(a.Stdout, "absent   %-12s %v\n", c.name, c.err)
			default:
				fmt.Fprintf(a.Stdout, "missing  %-12s %v\n", c.name, c.err)
				status = BadInput
			}
		}
		return status, nil
	}
}

func (f *runFlags) checkModel() check {
	c := check{name: "model"}
	m, err := f.openModel()
	if err != nil {
		c.err = err
		return c
	}
	defer m.Close()
	c.found = fmt.Sprintf("%s: %s, %d layers, %s", m.Path, m.Name, m.Hparams.NLayer, m.WeightTypes())
	return c
}

// checkReference needs no look: llama.cpp is part of this program.
func checkReference() check {
	return check{name: "llama.cpp", found: fmt.Sprintf("%s, %d threads of %d cores",
		llamacpp.Version(), llamacpp.DefaultThreads(), runtime.NumCPU())}
}

// checkEmulator compiles the kernels, which tries the compiler and the cache
// folder at once.
func checkEmulator() check {
	c := check{name: "emulator"}
	src := kernels.Default()
	dev, err := emu.Open(src, emu.Options{})
	if err != nil {
		c.err = err
		return c
	}
	c.found = fmt.Sprintf("%s, kernels %s compile", dev.Name(), src.Digest()[:16])
	c.err = dev.Close()
	return c
}

// checkGPU looks for what ours:cuda needs, with the library files found, and
// for what llama.cpp:cuda needs besides.
func checkGPU() []check {
	var list []check
	for _, p := range cuda.Probe() {
		list = append(list, check{name: p.Name, found: p.Found, err: p.Err, optional: true})
	}
	found, err := llamacpp.ProbeBackend()
	return append(list, check{name: "libggml-cuda", found: found, err: err, optional: true})
}
