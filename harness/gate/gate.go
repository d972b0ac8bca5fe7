package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"attndiff/harness/session"
)

// Gate is a run of a matrix, or of a share of it.
type Gate struct {
	Matrix   *Matrix
	Baseline *Baseline
	Waivers  []Waiver
	Program  Program

	Runner *session.Runner
	Dir    string // an empty folder: models, recordings, and reports of what failed, in cases/
	Jobs   int    // cases at a time
	Shard  Shard
	Only   []string // patterns of case names; none for all
	Faults []string // planted in ours
	Update bool     // measure for a new baseline: nothing is held against the old one
	Today  time.Time

	// Rerun spells the command that runs one case again.
	Rerun func(name string) string
	// Progress is called after each case, from one goroutine at a time; may be
	// nil.
	Progress func(done, all int, r *Result)

	shelf   *shelf
	lexicon *lexicon
	gpu     sync.Mutex // one case at a time on the GPU
}

// item is one case or golden to run.
type item struct {
	result *Result
	run    func(ctx context.Context, r *Result) error
}

// Run runs the cases, Jobs at a time. It stops at the first that cannot be run
// for what the user gave; an engine that fails fails its case alone.
func (g *Gate) Run(ctx context.Context) (*Part, error) {
	p := g.part()
	g.shelf, g.lexicon = newShelf(g.Matrix.models, g.Dir), newLexicon(g.Runner, g.Matrix.prompts)
	defer g.shelf.close()
	items := g.items(p)
	if len(items) == 0 && len(g.Only) > 0 {
		return nil, fmt.Errorf("--only %s: no case of %s goes by that name; `attndiff gate --list` shows them", strings.Join(g.Only, ","), g.Matrix.File)
	}
	if err := g.all(ctx, items); err != nil {
		return nil, err
	}
	p.conclude()
	return p, nil
}

// part describes the run before anything ran.
func (g *Gate) part() *Part {
	p := &Part{
		Schema: schema, Matrix: Source{g.Matrix.File, g.Matrix.SHA256}, Baseline: source(g.Matrix.Baseline), Waivers: source(g.Matrix.Waivers),
		Program: g.Program, Shard: g.Shard, Only: list(g.Only), Faults: list(g.Faults),
		Total: len(g.Matrix.Cases) + len(g.Matrix.Goldens),
		Cases: []Result{}, Goldens: []Result{}, Known: list(expire(g.Waivers, g.Today)), Gone: []string{},
	}
	known := map[string]bool{}
	for _, c := range g.Matrix.Cases {
		known[c.Name()] = true
	}
	for _, name := range sortedKeys(g.Baseline.Cases) {
		if !known[name] {
			p.Gone = append(p.Gone, name)
		}
	}
	return p
}

// items lists what this run is to do, each with its place in the part.
func (g *Gate) items(p *Part) []item {
	var items []item
	chosen := func(i int, name string) bool {
		return g.Shard.has(i) && (len(g.Only) == 0 || matches(name, g.Only))
	}
	add := func(to *[]Result, i int, name string, line int) {
		*to = append(*to, Result{Index: i, Name: name, Line: line, Problems: []Problem{}, Notes: []string{}, Rerun: g.Rerun(name)})
	}
	var runs []func(context.Context, *Result) error
	for i, c := range g.Matrix.Cases {
		if chosen(i, c.Name()) {
			add(&p.Cases, i, c.Name(), c.Line)
			runs = append(runs, func(ctx context.Context, r *Result) error { return g.compare(ctx, c, r) })
		}
	}
	for j, golden := range g.Matrix.Goldens {
		if i := len(g.Matrix.Cases) + j; chosen(i, golden.String()) {
			add(&p.Goldens, i, golden.String(), golden.Line)
			runs = append(runs, func(ctx context.Context, r *Result) error { return g.look(ctx, golden, r) })
		}
	}
	for i, r := range p.all() {
		items = append(items, item{r, runs[i]})
	}
	return items
}

// all runs the items.
func (g *Gate) all(ctx context.Context, items []item) error {
	var mu sync.Mutex
	done := 0
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(max(g.Jobs, 1))
	for _, it := range items {
		group.Go(func() error {
			if err := running.Err(); err != nil {
				return err
			}
			began := time.Now()
			err := it.run(running, it.result)
			it.result.Seconds = time.Since(began).Seconds()
			it.result.settle()
			if err != nil {
				return &InputError{g.Matrix.File, it.result.Line, fmt.Sprintf("%s: %v", it.result.Name, err)}
			}
			mu.Lock()
			defer mu.Unlock()
			if done++; g.Progress != nil && running.Err() == nil {
				g.Progress(done, len(items), it.result)
			}
			return nil
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// source describes a file by its text.
func source(path string) Source {
	s := Source{File: path}
	if text, err := os.ReadFile(path); err == nil {
		sum := sha256.Sum256(text)
		s.SHA256 = hex.EncodeToString(sum[:])
	}
	return s
}

// list makes nil an empty list, so that JSON says [] and not null.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// Names lists the cases and goldens that this run is to do.
func (g *Gate) Names() []string {
	var names []string
	for _, r := range g.items(&Part{}) {
		names = append(names, r.result.Name)
	}
	return names
}
