package exam

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"attndiff/harness/session"
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
	// Progress is called after each case, from one goroutine at a time; may be
	// nil.
	Progress func(done, all int, m *Mark)
}

// Numbers of combinations in a full exam.
const (
	pairCount   = 60
	tripleCount = 30
)

// Cases prepares the models and lists what is to be asked.
func (e *Exam) Cases(ctx context.Context) ([]Case, error) {
	names := prompts.Names()
	ids, err := tokenize(ctx, e.Runner, e.Model, names)
	if err != nil {
		return nil, err
	}
	shipped, err := open("haiku F16", e.Model, ids)
	if err != nil {
		return nil, err
	}
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
	list := singles(shipped, names)
	list = append(append(append(list, pairs...), triples...), clean(models, names)...)
	return sample(list, e.Sample, random), nil
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
	return Collect(marks, e.Seed), nil
}

// Run runs the cases, Jobs at a time, and returns their marks in the cases'
// order. It stops at the first case that could not be run at all.
func (e *Exam) Run(ctx context.Context, cases []Case) ([]Mark, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shared := newRecordings(e.Runner, e.Dir, cases)
	marks := make([]Mark, len(cases))
	next := make(chan int)
	go func() {
		defer close(next)
		for i := range cases {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	var mu sync.Mutex
	var failed error
	done := 0
	var wg sync.WaitGroup
	for range max(e.Jobs, 1) {
		wg.Go(func() {
			for i := range next {
				m, err := e.one(ctx, cases[i], shared)
				mu.Lock()
				if err != nil && failed == nil {
					failed = fmt.Errorf("%s: %w", cases[i], err)
					cancel()
				} else if err == nil {
					marks[i] = *m
					done++
					if e.Progress != nil {
						e.Progress(done, len(cases), m)
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return marks, failed
}
