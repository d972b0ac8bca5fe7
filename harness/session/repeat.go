package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Unstable is a recording that came out differently when the same job ran
// again: a race between threads, or memory read before it was written.
type Unstable struct {
	Key  tap.Key
	Runs int // repeated runs that differ from the first
}

// repeat runs ours again, Repeat times in all, each time in a fresh process
// with another seed for whatever a correct engine must not depend on, and
// compares the recordings bit for bit. It returns what differs, in execution
// order, and the file of the first run that differs, so that it can be judged.
func (p *Plan) repeat(ctx context.Context, r *Runner, job Job, run *Run) ([]Unstable, string, error) {
	first, kept := job.Passes[0].Trace, ""
	job.Passes = []Pass{job.Passes[0]}
	counts := map[tap.Key]int{}
	for i := 1; i < p.Repeat; i++ {
		again := filepath.Join(p.Dir, fmt.Sprintf("repeat-%d.safetensors", i+1))
		job.Passes[0].Name, job.Passes[0].Trace = fmt.Sprintf("repeat %d", i+1), again
		job.Spec.Seed = p.Spec.Seed + uint64(i)
		res, err := r.Do(ctx, job)
		if err != nil {
			return nil, "", err
		}
		run.warn(res, true)
		differ, err := Differing(first, again)
		if err != nil {
			return nil, "", err
		}
		for _, k := range differ {
			counts[k]++
		}
		if len(counts) > 0 && kept == "" {
			kept = again
		} else if err := os.Remove(again); err != nil {
			return nil, "", err
		}
	}
	return inOrder(counts), kept, nil
}

// Differing compares two recordings of one job bit for bit and returns the keys
// that differ, in execution order. A recording that only one of them has
// differs.
func Differing(first, again string) ([]tap.Key, error) {
	a, err := trace.Open(first)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	b, err := trace.Open(again)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	differs := map[tap.Key]bool{}
	var x, y []byte
	for _, k := range a.Keys() {
		ia, _ := a.Info(k)
		ib, ok := b.Info(k)
		if !ok || ia.DType != ib.DType || !slices.Equal(ia.Shape, ib.Shape) {
			differs[k] = true
			continue
		}
		if x, err = a.Raw(k, x); err != nil {
			return nil, err
		}
		if y, err = b.Raw(k, y); err != nil {
			return nil, err
		}
		if !bytes.Equal(x, y) {
			differs[k] = true
		}
	}
	for _, k := range b.Keys() {
		if _, ok := a.Info(k); !ok {
			differs[k] = true
		}
	}
	if err := chosen(a, b, differs); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Keys(differs), tap.Key.Compare), nil
}

// chosen marks the steps after which two recordings of one job chose
// differently. A choice has no tap; it counts at the logits it is made from.
func chosen(a, b *trace.Reader, differs map[tap.Key]bool) error {
	x, errX := a.Meta().Choices()
	y, errY := b.Meta().Choices()
	if err := errors.Join(errX, errY); err != nil {
		return err
	}
	for step := range min(len(x), len(y)) {
		if x[step] != y[step] {
			differs[tap.At(step, tap.NoLayer, tap.ResultOutput)] = true
		}
	}
	return nil
}

// inOrder lists the counted keys in execution order.
func inOrder(counts map[tap.Key]int) []Unstable {
	var list []Unstable
	for k, n := range counts {
		list = append(list, Unstable{k, n})
	}
	slices.SortFunc(list, func(a, b Unstable) int { return a.Key.Compare(b.Key) })
	return list
}
