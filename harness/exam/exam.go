package exam

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"attndiff/harness/session"
	"attndiff/ours/faults"
	"attndiff/traces/prompts"
)

// Exam is a set of cases and what it takes to run them.
type Exam struct {
	Runner *session.Runner
	Model  string // the shipped model's file
	Dir    string // an empty folder for models and recordings; a case takes up to 200 MB while it runs
	Jobs   int    // cases at a time
	Sample int    // cases of each kind, 0 for all
	Seed   uint64 // that combinations and samples are drawn from
	// Faults and Prompts, when not empty, keep the cases with one of these faults
	// and those on one of these prompts.
	Faults  []faults.Fault
	Prompts []string
	// Progress is called after each case, from one goroutine at a time; may be
	// nil.
	Progress func(done, all int, m *Mark)
}

// Numbers of combinations in a full exam.
const (
	pairCount   = 60
	tripleCount = 30
)

// Cases lists what is to be asked and prepares the models for it.
func (e *Exam) Cases(ctx context.Context) ([]Case, error) {
	names := prompts.Names()
	shipped := &Model{Name: "haiku F16", Path: e.Model}
	models, err := variants(shipped, e.Dir)
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(e.Seed, 0))
	brief := []string{"haiku", "code", "multilingual", "short"}
	pairs, err := combinations(shipped, Pair, 2, pairCount, brief, random)
	if err != nil {
		return nil, err
	}
	triples, err := combinations(shipped, Triple, 3, tripleCount, brief, random)
	if err != nil {
		return nil, err
	}
	list := slices.Concat(singles(shipped, names), pairs, triples, clean(models, names))
	list = slices.DeleteFunc(list, func(c Case) bool { return !e.wants(c) })
	list = sample(list, e.Sample, random)
	ids, err := tokenize(ctx, e.Runner, e.Model, names)
	if err != nil {
		return nil, err
	}
	for _, m := range models {
		asked := slices.ContainsFunc(list, func(c Case) bool { return c.Setting.Model == m })
		if !asked {
			continue
		}
		if err := m.prepare(ids); err != nil {
			return nil, fmt.Errorf("model %s: %w", m.Name, err)
		}
	}
	return list, nil
}

// Results runs the whole exam.
func (e *Exam) Results(ctx context.Context) (*Results, error) {
	cases, err := e.Cases(ctx)
	if err != nil {
		return nil, err
	}
	marks, err := e.Run(ctx, cases)
	if err != nil {
		return nil, err
	}
	return Collect(marks, e.Seed, e.scope()), nil
}

// scope words which cases are run.
func (e *Exam) scope() string {
	scope := "all cases"
	if e.Sample > 0 {
		scope = fmt.Sprintf("a sample of %d cases of each kind", e.Sample)
	}
	if len(e.Faults) > 0 {
		var names []string
		for _, f := range e.Faults {
			names = append(names, f.Name)
		}
		scope += ", only those with " + strings.Join(names, " or ")
	}
	if len(e.Prompts) > 0 {
		scope += ", only those on the prompts " + strings.Join(e.Prompts, ", ")
	}
	return scope
}

// Run runs the cases, Jobs at a time, and returns their marks in the cases'
// order. It stops at the first case that could not be run at all.
func (e *Exam) Run(ctx context.Context, cases []Case) ([]Mark, error) {
	shared := newRecordings(e.Runner, e.Dir, cases)
	marks := make([]Mark, len(cases))
	var mu sync.Mutex
	done := 0
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(max(e.Jobs, 1))
	for i, c := range cases {
		group.Go(func() error {
			if err := running.Err(); err != nil {
				return err
			}
			m, err := e.one(running, c, shared)
			if err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
			mu.Lock()
			defer mu.Unlock()
			marks[i] = *m
			if done++; e.Progress != nil {
				e.Progress(done, len(cases), m)
			}
			return nil
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return marks, err
}
