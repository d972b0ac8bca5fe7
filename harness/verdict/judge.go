package verdict

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"attndiff/harness/oracle"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Options are what a judgement may be told.
type Options struct {
	// Progress, when set, is called with the share done, 0 to 1, from any
	// goroutine.
	Progress func(done float64)
	// Stop, when set, is asked before each piece of work, from any goroutine;
	// an error ends the judgement with it.
	Stop func() error
	// Reach is how many multiplications may go into recomputing what was not
	// recorded before a tap ([oracle.Oracle.Far]); 0 for [oracle.Reach].
	Reach float64
}

// stopped returns the error that the judgement is to end with.
func (o *Options) stopped() error {
	if o.Stop == nil {
		return nil
	}
	return o.Stop()
}

// each calls f for 0 to n-1, on at most so many goroutines, until one fails.
func (o *Options) each(n, most int, f func(i int) error) error {
	group, running := errgroup.WithContext(context.Background())
	group.SetLimit(most)
	for i := range n {
		group.Go(func() error {
			if running.Err() != nil {
				return nil // another call failed
			}
			if err := o.stopped(); err != nil {
				return err
			}
			return f(i)
		})
	}
	return group.Wait()
}

// Judge compares ours with the reference and, unless model is nil, with the
// oracle. Both traces must be of the same model, tokens and steps.
func Judge(ref, ours *trace.Reader, model *gguf.File, opt Options) (*Result, error) {
	refArith, err := arithmetic(ref)
	if err != nil {
		return nil, err
	}
	oursArith, err := arithmetic(ours)
	if err != nil {
		return nil, err
	}
	j := &judge{ref: ref, ours: ours, refArith: refArith, oursArith: oursArith, growth: newGrowth(ref, refArith, oursArith)}
	if model != nil {
		j.hp, j.weights = model.Hparams, oracle.GGUF(model)
		for _, r := range []*trace.Reader{ref, ours} {
			if err := fits(r, model); err != nil {
				return nil, err
			}
		}
		j.oracle = oracle.New(j.weights, j.hp, oracle.Default(j.hp)).Within(cmp.Or(opt.Reach, oracle.Reach))
		j.refSide = oracle.NewSide(ref, refArith, j.oursHas)
		j.oursSide = oracle.NewSide(ours, oursArith, nil)
	}
	taps, err := j.run(opt)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(taps, Tap.judged) {
		return nil, fmt.Errorf("the trace of %s holds nothing that can be judged: %s; record taps that the trace of %s has too, or give --model",
			ours.Meta().Engine, held(ours), ref.Meta().Engine)
	}
	r := j.conclude(taps)
	if j.oracle != nil && r.Outcome == Parity {
		if err := j.layers(r, opt); err != nil {
			return nil, err
		}
	}
	r.Notes = notes(r)
	if r.Choices, err = Choices(ours); err != nil {
		return nil, fmt.Errorf("trace of %s: %w", ours.Meta().Engine, err)
	}
	r.choose()
	return r, nil
}

type judge struct {
	ref, ours         *trace.Reader
	hp                trace.Hparams // of the model, with which the oracle works
	weights           oracle.Weights
	oracle            *oracle.Oracle
	refSide, oursSide *oracle.Side
	refArith          oracle.Arithmetic
	oursArith         oracle.Arithmetic
	growth            growth
}

// oursHas reports whether ours recorded k in the shape the model calls for.
func (j *judge) oursHas(k tap.Key) bool {
	info, ok := j.ours.Info(k)
	return ok && slices.Equal(info.Shape, k.Tap.Shape(j.ours.Dims(k.Step)))
}

// run judges all batches on as many goroutines as there are cores.
func (j *judge) run(opt Options) ([]Tap, error) {
	work := j.batches()
	results := make([][]Tap, len(work))
	var mu sync.Mutex
	done := 0
	err := opt.each(len(work), runtime.GOMAXPROCS(0), func(i int) error {
		taps, err := j.batch(work[i].keys)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		results[i] = taps
		if done++; opt.Progress != nil {
			opt.Progress(float64(done) / float64(len(work)))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	taps := append(slices.Concat(results...), j.absent()...)
	slices.SortFunc(taps, func(a, b Tap) int { return a.Key.Compare(b.Key) })
	return taps, nil
}

// batch judges one tap of one layer at several steps.
func (j *judge) batch(keys []tap.Key) ([]Tap, error) {
	taps := make([]Tap, len(keys))
	var reqs []oracle.Request
	for i, k := range keys {
		taps[i] = Tap{Key: k, Status: OK, OpOurs: math.NaN(), OpRef: math.NaN(), Allowance: math.NaN(),
			Carried: math.NaN(),
			Peak:    Peak{Ours: math.NaN(), Reference: math.NaN(), Oracle: math.NaN()}}
		if err := j.drift(&taps[i]); err != nil {
			return nil, err
		}
		if j.oracle != nil && taps[i].Why == "" {
			reqs = append(reqs, oracle.Request{Side: j.oursSide, Key: k})
		}
	}
	if len(reqs) == 0 {
		return taps, nil
	}
	n := len(reqs)
	for _, r := range reqs[:n] {
		if j.comparable(r.Key) {
			reqs = append(reqs, oracle.Request{Side: j.refSide, Key: r.Key})
		}
	}
	if j.oracle.Far(reqs) {
		for i := range taps {
			taps[i].Far = true
		}
		return taps, nil
	}
	values, err := j.oracle.Eval(reqs)
	if err != nil {
		return nil, err
	}
	turned, err := j.oracle.Turned(reqs, values)
	if err != nil {
		return nil, err
	}
	voices := make([]*voice, len(reqs))
	for i, r := range reqs {
		from, arith := j.ours, j.oursArith
		if i >= n {
			from, arith = j.ref, j.refArith
		}
		if voices[i], err = hear(from, arith, r.Key, values[i], turned[i]); err != nil {
			return nil, err
		}
	}
	if err := j.skipMasked(reqs, voices); err != nil {
		return nil, err
	}
	ours, refs := map[tap.Key]*voice{}, map[tap.Key]*voice{}
	for i, r := range reqs {
		if i < n {
			ours[r.Key] = voices[i]
		} else {
			refs[r.Key] = voices[i]
		}
	}
	for i := range taps {
		if own := ours[taps[i].Key]; own != nil {
			taps[i].judge(own, refs[taps[i].Key])
		}
	}
	return taps, nil
}

// comparable reports whether the reference has k in the same shape as ours.
func (j *judge) comparable(k tap.Key) bool {
	a, okA := j.ref.Info(k)
	b, okB := j.ours.Info(k)
	return okA && okB && slices.Equal(a.Shape, b.Shape)
}

// drift measures ours against the reference and checks the rules that need no
// oracle: shape and finite values.
func (j *judge) drift(t *Tap) error {
	info, _ := j.ours.Info(t.Key)
	t.Shape = info.Shape
	if want := t.Key.Tap.Shape(j.ours.Dims(t.Key.Step)); !slices.Equal(info.Shape, want) {
		t.Status = Introduced
		t.Why = fmt.Sprintf("shape is %v, the model calls for %v", info.Shape, want)
		return nil
	}
	ours, err := j.ours.Float32(t.Key, nil)
	if err != nil {
		return err
	}
	ref := ours
	if t.HasDrift = j.comparable(t.Key); t.HasDrift {
		if ref, err = j.ref.Float32(t.Key, nil); err != nil {
			return err
		}
	}
	t.Drift = Measure(ours, ref, info.Shape)
	if t.HasDrift {
		t.Peak = Peak{Index: t.Drift.At, Ours: t.Drift.A, Reference: t.Drift.B, Oracle: math.NaN()}
	} else {
		t.Drift = Metrics{NMSE: math.NaN(), MaxAbs: math.NaN(), Cos: math.NaN(), NaNA: t.Drift.NaNA,
			InfA: t.Drift.InfA, FirstBad: t.Drift.FirstBad, WorstRowNMSE: math.NaN(), ChannelNMSE: math.NaN()}
	}
	return nil
}
