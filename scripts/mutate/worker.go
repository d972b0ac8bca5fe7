package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/ours/device"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
	"attndiff/traces/tap"
)

// work is the child's side: one run of an engine. Ours runs with one kernel
// file replaced, and is stopped when it takes more processor time than any run
// of right kernels does; time on the clock depends on what else runs.
func work(args []string, stdin io.Reader) error {
	fs := flag.NewFlagSet("mutate worker", flag.ContinueOnError)
	replace := fs.String("replace", "", "kernel `FILE` to take for that of the same name")
	launches := fs.String("launches", "", "`FILE` to write to what each kernel computed")
	multiprocessors := fs.Int("multiprocessors", 0, "the GPU has `N`")
	splits := fs.Int("splits", 0, "cut the cache in `N` for a fused decode")
	if err := fs.Parse(args); err != nil {
		return err
	}
	return session.Work(stdin, func(spec session.Spec) (session.Engine, error) {
		if spec.Engine != engines.OursEmu {
			return engines.Open(spec)
		}
		src, err := replaced(*replace)
		if err != nil {
			return nil, err
		}
		go limit(cpuLimit)
		v := engines.Variation{Multiprocessors: *multiprocessors}
		if v.Watch, err = log(*launches); err != nil {
			return nil, err
		}
		if *splits > 0 {
			v.Edit = cut(*splits)
		}
		return engines.Emulate(spec, src, v)
	})
}

// cut has every fused decode cut the cache into n splits, as a longer one would
// be; splits that have no tile then are part of the kernel's trade too.
func cut(n int) func([]qwen2.Op) []qwen2.Op {
	return func(ops []qwen2.Op) []qwen2.Op {
		for _, op := range ops {
			if op.Launch == nil || !strings.HasPrefix(op.Launch.Kernel, "fused_decode") {
				continue
			}
			op.Launch.Grid.X = n
			heads := n * op.Out.Shape[1] * device.F32.Size()
			partial, extremes := op.Launch.Args[4].(device.Pointer), op.Launch.Args[5].(device.Pointer)
			op.Launch.Writes = append(op.Launch.Writes[:1],
				device.Region{Buffer: partial.Buffer, Length: heads * op.Out.Shape[2], Fresh: true},
				device.Region{Buffer: extremes.Buffer, Length: heads * 2, Fresh: true})
		}
		return ops
	}
}

// replaced returns this repository's kernels with one file replaced.
func replaced(file string) (kernels.Source, error) {
	files := kernels.Default().Files()
	if file == "" {
		return kernels.New(files...), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return kernels.Source{}, err
	}
	name := filepath.Base(file)
	i := slices.IndexFunc(files, func(f kernels.File) bool { return f.Name == name })
	if i < 0 {
		return kernels.Source{}, fmt.Errorf("%s: there is no kernel file of that name", file)
	}
	files[i].Text = string(text)
	return kernels.New(files...), nil
}

// cpuLimit is more than ten times what the longest trial takes.
const cpuLimit = 3 * time.Second

// noEnd is what a worker says that took too long.
const noEnd = "no end: the run took more processor time than any right one"

// limit ends the process when it has used that much processor time.
func limit(most time.Duration) {
	for range time.Tick(50 * time.Millisecond) {
		var used syscall.Rusage
		if syscall.Getrusage(syscall.RUSAGE_SELF, &used) == nil && time.Duration(used.Utime.Nano()+used.Stime.Nano()) > most {
			fmt.Fprintln(os.Stderr, noEnd)
			os.Exit(1)
		}
	}
}

// log returns a function that writes each kernel launched, and the tap that the
// launch computes, to a file: one line the first time it happens.
func log(file string) (func(device.Launch), error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	return func(l device.Launch) {
		line := l.Kernel + " " + l.At.Tap.String() + "\n"
		if !seen[line] {
			seen[line] = true
			_, _ = f.WriteString(line) // a line that lacks is a kernel that no trial launches, an error
		}
	}, nil
}

// logged reads what log wrote: the taps of each kernel.
func logged(file string) (map[string][]tap.Tap, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	taps := map[string][]tap.Tap{}
	for line := range strings.Lines(string(raw)) {
		kernel, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		t, err := tap.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		taps[kernel] = append(taps[kernel], t)
	}
	return taps, nil
}
