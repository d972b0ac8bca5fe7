package oracle

import (
	"errors"
	"math"
	"slices"
	"testing"

	"attndiff/traces/gguf"
	"attndiff/traces/synth"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// recorded is an exact run held in memory, of which some recordings are kept
// back.
type recorded struct {
	meta trace.Meta
	data map[tap.Key][]float64
	keep func(tap.Key) bool
}

func (r *recorded) Meta() trace.Meta { return r.meta }

func (r *recorded) Dims(step int) tap.Dims {
	d := r.meta.Hparams.Dims()
	d.T = r.meta.Steps[step]
	for _, n := range r.meta.Steps[:step] {
		d.P += n
	}
	return d
}

func (r *recorded) Info(k tap.Key) (trace.Info, bool) {
	_, ok := r.data[k]
	return trace.Info{DType: trace.F64, Shape: k.Tap.Shape(r.Dims(max(k.Step, 0)))}, ok && (r.keep == nil || r.keep(k))
}

func (r *recorded) Float64(k tap.Key, _ []float64) ([]float64, error) {
	return slices.Clone(r.data[k]), nil
}

// exactRun computes a whole run in float64.
func exactRun(t *testing.T, changes ...func(*synth.Spec)) (*Oracle, *recorded) {
	t.Helper()
	f, err := gguf.Open(synthtest.Tiny(t, "F16", changes...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	hp := f.Hparams
	hp.KVType = "f32"
	o := New(GGUF(f), hp, Default(hp))
	run := &recorded{data: map[tap.Key][]float64{}, meta: trace.Meta{Hparams: hp, Tokens: []int32{5, 9, 200, 17, 42, 7}, Steps: []int{3, 2, 1}}}
	for step := range run.meta.Steps {
		for layer := range hp.NLayer {
			for _, tp := range tap.All() {
				k := tap.At(step, layer, tp)
				if tp == tap.ResultNorm || tp == tap.ResultOutput || tp == tap.InpEmbd && layer > 0 || run.data[k] != nil {
					continue
				}
				run.add(t, o, k)
			}
		}
		run.add(t, o, tap.At(step, 0, tap.ResultNorm))
		run.add(t, o, tap.At(step, 0, tap.ResultOutput))
	}
	return o, run
}

func (r *recorded) add(t *testing.T, o *Oracle, k tap.Key) {
	t.Helper()
	if (k.Tap == tap.QBias || k.Tap == tap.KBias || k.Tap == tap.VBias) && o.weights.Type("blk.0.attn_q.bias") == "" {
		return
	}
	v, err := o.Eval([]Request{{NewSide(r, PlainF32, nil), k}})
	if err != nil {
		t.Fatal(err)
	}
	r.data[k] = v[0].Data
}

// TestBridge: whatever is kept back, what was computed across the gap is what
// was recorded, and the value says what it was computed from and across.
func TestBridge(t *testing.T) {
	o, run := exactRun(t)
	for name, c := range map[string]struct {
		keep   func(tap.Key) bool
		of     tap.Key
		across tap.Tap
		inputs int
	}{
		"one op":            {func(k tap.Key) bool { return k.Tap != tap.KQSoftMax }, tap.At(1, 1, tap.KQV), tap.KQSoftMax, 2},
		"caches":            {func(k tap.Key) bool { return k.Tap != tap.KCache && k.Tap != tap.VCache }, tap.At(2, 1, tap.KQ), tap.KCache, 4},
		"a layer":           {func(k tap.Key) bool { return k.Tap == tap.LOut }, tap.At(2, 1, tap.LOut), tap.KCache, 3},
		"everything before": {func(tap.Key) bool { return false }, tap.At(2, 0, tap.ResultOutput), tap.InpEmbd, 0},
	} {
		t.Run(name, func(t *testing.T) {
			run.keep = c.keep
			v, err := o.Eval([]Request{{NewSide(run, PlainF32, nil), c.of}})
			if err != nil {
				t.Fatal(err)
			}
			err2, size := 0.0, 0.0
			for i, x := range run.data[c.of] {
				err2 += (x - v[0].Data[i]) * (x - v[0].Data[i])
				size += x * x
			}
			if !(err2 <= 1e-12*size) { // the cache rounds to f32
				t.Errorf("composed value is off by %.3g", err2/size)
			}
			if !slices.Contains(v[0].Composed, c.across) || len(v[0].Inputs) != c.inputs {
				t.Errorf("composed across %v from %v; want across %s from %d recordings", v[0].Composed, v[0].Inputs, c.across, c.inputs)
			}
		})
	}
}

// TestBridgeReadsOnceAndForgets: a gap is bridged for all steps before the
// request is computed, and of what was recomputed only what later layers and
// steps read is kept.
func TestBridgeReadsOnceAndForgets(t *testing.T) {
	o, run := exactRun(t)
	run.keep = func(k tap.Key) bool { return k.Tap == tap.InpEmbd }
	side := NewSide(run, PlainF32, nil)
	if _, err := o.Eval([]Request{{side, tap.At(1, 1, tap.KQV)}, {side, tap.At(2, 1, tap.KQV)}}); err != nil {
		t.Fatal(err)
	}
	kept := map[tap.Tap]int{}
	for k := range side.held.at {
		kept[k.Tap]++
	}
	if want := map[tap.Tap]int{tap.KRope: 6, tap.VBias: 6, tap.VProj: 6, tap.LOut: 3}; len(kept) != len(want) || kept[tap.KRope] != 6 || kept[tap.LOut] != 3 {
		t.Errorf("kept %v, want %v", kept, want)
	}
}

// TestHeldIsBounded: what is held does not grow past its bound, and what was
// used last stays.
func TestHeldIsBounded(t *testing.T) {
	h := newHeld()
	big := func() derived { return derived{Rows: Rows{V: make([]float64, heldBytes/8/4)}} }
	for i := range 6 {
		h.put(tap.At(i, 0, tap.LOut), big())
		h.get(tap.At(0, 0, tap.LOut))
	}
	if h.bytes > heldBytes || h.order.Len() != 4 || !h.has(tap.At(0, 0, tap.LOut)) || h.has(tap.At(1, 0, tap.LOut)) {
		t.Errorf("%d tensors of %d bytes held; want 4, the first one among them", h.order.Len(), h.bytes)
	}
}

// TestVariantInACircle: a variant that has an op read what is computed from its
// own result does not apply where that result is not recorded.
func TestVariantInACircle(t *testing.T) {
	o, run := exactRun(t)
	run.keep = func(k tap.Key) bool { return k.Tap == tap.InpEmbd || k.Tap == tap.ResultOutput }
	circle := Variant{Read: func(of, in tap.Key) tap.Key {
		if of.Tap == tap.AttnNorm {
			return tap.At(of.Step, of.Layer, tap.FFNInp)
		}
		return in
	}}
	_, err := o.With(circle).Eval([]Request{{NewSide(run, PlainF32, nil), tap.At(0, 0, tap.ResultOutput)}})
	if !errors.Is(err, ErrNotApplicable) {
		t.Errorf("error %v, want %v", err, ErrNotApplicable)
	}
}

// TestVariantFarAway: a variant that reads what would take too long to recompute
// is not applicable; what is near is.
func TestVariantFarAway(t *testing.T) {
	o, run := exactRun(t)
	run.keep = func(k tap.Key) bool { return k.Tap == tap.LOut && k.Layer == 0 }
	last := tap.At(0, run.meta.Hparams.NLayer-1, tap.LOut)
	for _, of := range []struct {
		reads tap.Key
		reach float64
		want  error
	}{{last, 1, ErrNotApplicable}, {last, Reach, nil}, {tap.At(0, 0, tap.LOut), 1, nil}} {
		v := Variant{Read: func(at, in tap.Key) tap.Key {
			if at.Tap == tap.ResultNorm {
				return of.reads
			}
			return in
		}}
		far := o.With(v).Within(of.reach)
		if _, err := far.Eval([]Request{{NewSide(run, PlainF32, nil), tap.At(0, 0, tap.ResultNorm)}}); !errors.Is(err, of.want) {
			t.Errorf("reading %s with reach %g: error %v, want %v", of.reads, of.reach, err, of.want)
		}
	}
}

// TestTurns holds the variance of a stored rounding of an uncertain value
// against rounding the value and its neighbours.
func TestTurns(t *testing.T) {
	for _, deviation := range []float64{1e-6, 1e-4, 1e-3, 1e-2} {
		const n = 200_000
		x := NewRows(1, n)
		got := make([]float64, n)
		for i := range n {
			// Values between 1 and 2, whose spacing in f16 is 2^-10, and an error
			// that takes each side in turn at every size up to three deviations.
			x.V[i] = 1 + math.Mod(float64(i)*0.6180339887498949, 1)
			x.Noise[i] = deviation * deviation
			p := (float64(i%997) + 0.5) / 997
			got[i] = x.V[i] + deviation*math.Sqrt2*math.Erfinv(2*p-1)
		}
		want, turned := Store(x, "f16"), store(x, "f16", nil, allTurns)
		stored := Store(Rows{N: 1, Width: n, V: got}, "f16")
		err, noise := 0.0, 0.0
		for i, v := range stored.V {
			d := v - want.V[i]
			err, noise = err+d*d, noise+want.Noise[i]
			if !(math.Abs(d) <= 0x1p-10+6*deviation) || !(turned.Noise[i] >= want.Noise[i]) {
				t.Fatalf("%v: off by %g with variances %g and %g", x.V[i], d, want.Noise[i], turned.Noise[i])
			}
		}
		if share := err / noise; !(share > 0.4 && share < 2) {
			t.Errorf("deviation %g: squared error is %.3g of the variance", deviation, share)
		}
	}
}

// TestGrain: values tell the type they were rounded to.
func TestGrain(t *testing.T) {
	for _, c := range []struct {
		want trace.DType
		v    []float64
	}{
		{trace.BF16, []float64{0, 1, -1.5, 0x1p-100, math.NaN()}},
		{trace.F16, []float64{0x1p-24, 1 + 0x1p-10, 65504}},
		{trace.F32, []float64{1 + 0x1p-20}},
		{trace.F32, []float64{1 + 0x1p-10, 0x1p-100}},
		{trace.F64, []float64{1, 1 + 0x1p-40}},
	} {
		if got := Grain(c.v); got != c.want {
			t.Errorf("%v are %s, want %s", c.v, got, c.want)
		}
	}
}
