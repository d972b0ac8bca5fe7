package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"attndiff/ours/kernels"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(status(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)))
}

// errBelow says that the mutants were run and fall short of the bar.
var errBelow = errors.New("below the bar")

// status turns an error into an exit status and says what it is.
func status(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errBelow):
		return 1
	case !errors.Is(err, flag.ErrHelp): // which has said it
		fmt.Fprintln(os.Stderr, "mutate:", err)
	}
	return 2
}

// options are what the command line says.
type options struct {
	only   string
	shard  string
	sample int
	seed   uint64
	list   bool
	jobs   int
	out    string
	from   string
	again  string
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "worker" {
		return work(args[1:], stdin)
	}
	var o options
	fs := flag.NewFlagSet("mutate", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.only, "only", "*", "take the mutants of files that match `PATTERN` alone, as scores.cu or s*,r*")
	fs.StringVar(&o.shard, "shard", "1/1", "take the `K/N` of the mutants: of N in a row the K-th")
	fs.IntVar(&o.sample, "n", 0, "take a sample of `N` mutants, 0 for all")
	fs.Uint64Var(&o.seed, "seed", 1, "`N` that the sample is drawn from")
	fs.BoolVar(&o.list, "list", false, "list the mutants and do nothing")
	fs.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "examine `N` mutants at a time")
	fs.StringVar(&o.out, "out", "", "`DIR` for mutants.md and mutants.json; nothing is written without it")
	fs.StringVar(&o.from, "recount", "", "run nothing and count again what `FILES` hold, one mutants.json or several with commas between")
	fs.StringVar(&o.again, "again", "", "take the mutants that `FILES`, as of -recount, say survived unexplained or were not located")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 || o.sample < 0 || o.jobs < 1 {
		return errors.New("usage: mutate [-only PATTERN] [-shard K/N] [-n N] [-seed N] [-list] [-jobs N] [-out DIR] [-recount FILES] [-again FILES]")
	}
	src := kernels.Default()
	known, err := parseEquivalent(equivalentText)
	if err != nil {
		return err
	}
	var findings []*Finding
	var stopped error // the run before its end; what was found until then counts
	if o.from != "" {
		if findings, o.only, err = recount(strings.Split(o.from, ","), src); err != nil {
			return err
		}
	} else {
		all := mutants(src)
		if o.again != "" {
			if all, o.only, err = unexplained(strings.Split(o.again, ","), src, known); err != nil {
				return err
			}
			if len(all) == 0 {
				return fmt.Errorf("-again %s: all that survived is explained, all that was killed located", o.again)
			}
		}
		list, err := o.choose(all)
		if err != nil {
			return err
		}
		if o.list {
			for _, m := range list {
				fmt.Fprintf(stdout, "%-10s %s\n", m.Kind, m)
			}
			return nil
		}
		findings, err = o.examine(ctx, src, list, stderr)
		if findings = slices.DeleteFunc(findings, func(f *Finding) bool { return f == nil }); err != nil && len(findings) == 0 {
			return err
		}
		stopped = err
	}
	r := collect(findings, known)
	r.Kernels, r.Only = digest(src, o.only), o.only
	if r.Drawn = drawn(findings, o.matching(mutants(src))); len(r.Drawn) == 0 && o.only == "*" {
		r.Verdict = append(r.Verdict, unused(known)...)
	}
	if o.out != "" {
		if err := r.write(o.out); err != nil {
			return err
		}
	}
	r.markdown(stdout)
	if stopped != nil {
		return fmt.Errorf("stopped after %d mutants: %w", len(findings), stopped)
	}
	if len(r.Verdict) > 0 {
		return errBelow
	}
	return nil
}

// examine examines the mutants, some at a time, and returns the findings in
// their order; with an error there are nils among them.
func (o *options) examine(ctx context.Context, src kernels.Source, list []mutant, stderr io.Writer) ([]*Finding, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	// A thousand libraries that nobody needs again stay out of the user's
	// cache of compiled kernels.
	if err := os.Setenv("XDG_CACHE_HOME", dir); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l, err := newLab(ctx, dir, self, src, trials())
	if err != nil {
		return nil, err
	}
	defer l.close()
	if err := l.complete(); err != nil {
		return nil, err
	}
	findings := make([]*Finding, len(list))
	tell := progress(len(list), stderr)
	var mu sync.Mutex
	next := 0
	var wg sync.WaitGroup
	for range o.jobs {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(list) || ctx.Err() != nil {
					return
				}
				f, err := l.examine(ctx, list[i])
				if err != nil {
					cancel(err)
				}
				if ctx.Err() != nil { // and what its worker died of is no verdict
					return
				}
				mu.Lock()
				findings[i] = f
				tell(f)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return findings, context.Cause(ctx)
}

// progress says every few seconds how far it is and at once what survived.
func progress(all int, w io.Writer) func(*Finding) {
	began, said, done := time.Now(), time.Now(), 0
	return func(f *Finding) {
		done++
		if f.Fate == Survived {
			fmt.Fprintf(w, "survived: %s\n", f.mutant)
		}
		if time.Since(said) < 10*time.Second && done < all {
			return
		}
		said = time.Now()
		left := time.Since(began) * time.Duration(all-done) / time.Duration(done)
		fmt.Fprintf(w, "%d of %d mutants, about %v to go\n", done, all, left.Round(time.Second))
	}
}
