package verdict

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"

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
}

// batchTokens is how many tokens of one tap are judged at a time: enough to
// read each weight once for all decode steps, little enough that memory does
// not grow with the trace.
const batchTokens = 64

// Judge compares ours with the reference and, unless model is nil, with the
// oracle. Both traces must be of the same model, tokens and steps.
func Judge(ref, ours *trace.Reader, model *gguf.File, opt Options) (*Result, error) {
	j := &judge{ref: ref, ours: ours, growth: newGrowth(ref)}
	if model != nil {
		hp := model.Hparams
		for _, r := range []*trace.Reader{ref, ours} {
			if h := r.Meta().Hparams; h.Dims() != hp.Dims() || h.NLayer != hp.NLayer {
				return nil, fmt.Errorf("the trace of %s is of %d layers of %+v, model %s of %d layers of %+v; give the model it was recorded from",
					r.Meta().Engine, h.NLayer, h.Dims(), model.Path, hp.NLayer, hp.Dims())
			}
		}
		j.oracle = oracle.New(oracle.GGUF(model), hp, oracle.Default(hp))
		j.refSide = oracle.NewSide(ref, arithmetic(ref), j.oursHas)
		j.oursSide = oracle.NewSide(ours, arithmetic(ours), nil)
	}
	taps, err := j.run(opt)
	if err != nil {
		return nil, err
	}
	r := j.conclude(taps)
	if r.Choices, err = Choices(ours); err != nil {
		return nil, fmt.Errorf("trace of %s: %w", ours.Meta().Engine, err)
	}
	r.choose()
	return r, nil
}

// arithmetic is how a trace's engine multiplies and adds, by the engine's name.
func arithmetic(r *trace.Reader) oracle.Arithmetic {
	switch engine := r.Meta().Engine; {
	case engine == "llama.cpp:cuda":
		return oracle.GGMLCUDA
	case strings.HasPrefix(engine, "llama.cpp"):
		return oracle.GGML
	}
	return oracle.PlainF32
}

type judge struct {
	ref, ours         *trace.Reader
	oracle            *oracle.Oracle
	refSide, oursSide *oracle.Side
	growth            growth
}

// oursHas reports whether ours recorded k in the shape the model calls for.
func (j *judge) oursHas(k tap.Key) bool {
	info, ok := j.ours.Info(k)
	return ok && slices.Equal(info.Shape, k.Tap.Shape(j.ours.Dims(k.Step)))
}

// batches groups the recordings of ours: one tap of one layer, steps of at
// most batchTokens tokens together. They come out in execution order of their
// first key.
func (j *judge) batches() [][]tap.Key {
	type group struct {
		layer int
		tap   tap.Tap
	}
	open := map[group]int{}
	tokens := map[group]int{}
	var all [][]tap.Key
	for _, k := range j.ours.Keys() {
		g := group{k.Layer, k.Tap}
		i, ok := open[g]
		t := j.ours.Dims(k.Step).T
		if !ok || tokens[g]+t > batchTokens {
			i, tokens[g] = len(all), 0
			open[g] = i
			all = append(all, nil)
		}
		tokens[g] += t
		all[i] = append(all[i], k)
	}
	return all
}

// run judges all batches on as many goroutines as there are cores.
func (j *judge) run(opt Options) ([]Tap, error) {
	work := j.batches()
	results := make([][]Tap, len(work))
	var mu sync.Mutex
	var failed error
	next, done := 0, 0
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(work)) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := failed != nil || i >= len(work)
				mu.Unlock()
				if stop {
					return
				}
				taps, err := j.batch(work[i])
				mu.Lock()
				results[i] = taps
				if err != nil && failed == nil {
					failed = err
				}
				done++
				if opt.Progress != nil {
					opt.Progress(float64(done) / float64(len(work)))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if failed != nil {
		return nil, failed
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
			Peak: Peak{Ours: math.NaN(), Reference: math.NaN(), Oracle: math.NaN()}}
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
	values, err := j.oracle.Eval(reqs)
	if err != nil {
		return nil, err
	}
	refValue := map[tap.Key]oracle.Value{}
	for i, r := range reqs[n:] {
		refValue[r.Key] = values[n+i]
	}
	at := 0
	for i := range taps {
		if at < n && reqs[at].Key == taps[i].Key {
			ref, ok := refValue[taps[i].Key]
			if err := j.op(&taps[i], values[at], ref, ok); err != nil {
				return nil, err
			}
			at++
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

// op judges one recording against the oracle.
func (j *judge) op(t *Tap, want, refWant oracle.Value, hasRef bool) error {
	info, _ := j.ours.Info(t.Key)
	got, err := j.ours.Float64(t.Key, nil)
	if err != nil {
		return err
	}
	own := compare(got, info.DType, want)
	t.Inputs, t.Composed, t.OpOurs, t.Blind = want.Inputs, want.Composed, own.nmse(), own.blind
	t.Noise = ratio(own.noise, own.energy)
	t.Peak.Index = unravel(own.peak, want.Shape)
	t.Peak.Ours, t.Peak.Oracle = got[own.peak], want.Data[own.peak]
	var ref *opError
	if hasRef {
		refInfo, _ := j.ref.Info(t.Key)
		values, err := j.ref.Float64(t.Key, nil)
		if err != nil {
			return err
		}
		ref = compare(values, refInfo.DType, refWant)
		t.OpRef, t.Peak.Reference = ref.nmse(), values[own.peak]
		if !ref.valid() {
			t.Status, t.Allowance = NoOracle, oracle.Confidence*ratio(ref.noise, ref.energy)
			t.Why = fmt.Sprintf("oracle not valid for this model at tap %s: the reference itself differs by NMSE %.3g, allowed %.3g",
				t.Key.Tap, ref.nmse(), t.Allowance)
			if ref.broken != "" {
				t.Why += "; " + ref.broken
			}
			return nil
		}
	}
	t.Allowance, t.Why = check(own, ref)
	if t.Why == "" && t.Key.Tap == tap.KQSoftMax {
		t.Why = rowSums(got, want)
	}
	if bad := firstNonFinite(got, want.Data); bad >= 0 {
		t.Why = fmt.Sprintf("not finite at %v (%d NaN, %d Inf)", unravel(bad, want.Shape), t.Drift.NaNA, t.Drift.InfA)
		t.Peak = Peak{Index: unravel(bad, want.Shape), Ours: got[bad], Reference: t.Peak.Reference, Oracle: want.Data[bad]}
	}
	if t.Why != "" {
		t.Status = Introduced
	}
	return nil
}

// firstNonFinite is the first element that is NaN or Inf although the oracle,
// from the same inputs, is finite; -1 when there is none.
func firstNonFinite(got, want []float64) int {
	for i, x := range got {
		if !finite(x) && finite(want[i]) {
			return i
		}
	}
	return -1
}

// rowSums checks that each softmax row sums to 1, as far as its elements'
// noise allows when all err the same way.
func rowSums(got []float64, want oracle.Value) string {
	width := want.Shape[len(want.Shape)-1]
	for lo := 0; lo < len(got); lo += width {
		sum, slack := 0.0, 0.0
		for i := lo; i < lo+width; i++ {
			sum += got[i]
			slack += math.Sqrt(oracle.Confidence * want.Noise[i])
		}
		if d := math.Abs(sum - 1); !(d <= slack) && finite(want.Data[lo]) {
			return fmt.Sprintf("row %v sums to %.9g, not 1", unravel(lo/width, want.Shape[:2]), sum)
		}
	}
	return ""
}
