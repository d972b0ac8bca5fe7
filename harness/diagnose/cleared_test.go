package diagnose

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"attndiff/harness/verdict"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
	"attndiff/traces/trace/tracetest"
)

// small is a model of two layers whose recordings tests make up.
var small = trace.Hparams{NLayer: 2, NEmbd: 64, NHead: 4, NHeadKV: 2, HeadDim: 16, NFF: 32, NVocab: 512,
	RopeFreqBase: 1e6, RopeType: "neox", RMSEps: 1e-6, KVType: "f16"}

// madeUp writes a trace of steps of so many tokens whose every recording is
// noise of size 1 out of seed, after change had its way with it.
func madeUp(t *testing.T, seed uint64, steps []int, change func(k tap.Key, d tap.Dims, v []float64)) *trace.Reader {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.safetensors")
	meta := trace.Meta{Engine: "ours:emu", EngineVersion: "test", Device: "test", ModelSHA256: strings.Repeat("0", 64),
		ModelName: "made up", Hparams: small, Steps: steps}
	w, err := trace.Create(path, 64)
	if err != nil {
		t.Fatal(err)
	}
	d := small.Dims()
	put := func(k tap.Key) {
		rng := rand.New(rand.NewPCG(seed, uint64(k.Step)<<16|uint64(k.Tap)<<8|uint64(k.Layer+1)))
		shape := k.Tap.Shape(d)
		v := make([]float64, tap.Elements(shape))
		for i := range v {
			v[i] = rng.NormFloat64()
		}
		if change != nil {
			change(k, d, v)
		}
		raw := make([]byte, 0, 4*len(v))
		for _, x := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(x)))
		}
		if err := w.Put(k, trace.F32, shape, raw); err != nil {
			t.Fatal(err)
		}
	}
	for step, n := range steps {
		d.P, d.T = len(meta.Tokens), n
		for i := range n {
			meta.Tokens = append(meta.Tokens, int32(3+step+i))
		}
		for _, of := range tap.All() {
			if !of.PerLayer() {
				put(tap.At(step, tap.NoLayer, of))
				continue
			}
			for l := range small.NLayer {
				put(tap.At(step, l, of))
			}
		}
	}
	return tracetest.Finish(t, w, path, meta)
}

// prompt is one step of 8 tokens.
var prompt = []int{8}

// plain leaves noise that nobody would suspect: even probabilities, biases of
// one size, and norms that leave their input alone.
func plain(k tap.Key, d tap.Dims, v []float64) {
	for i := range v {
		switch k.Tap {
		case tap.KQSoftMax:
			v[i] = 1 / float64(d.C())
		case tap.QProj, tap.KProj, tap.VProj:
			v[i] = 0
		case tap.QBias, tap.KBias, tap.VBias:
			v[i] = 1 + float64(i%7)/8
		}
	}
}

// bench pairs two recordings with statuses; all ops are right unless wrong says
// otherwise.
func bench(t *testing.T, ref, ours *trace.Reader, wrong map[tap.Tap]verdict.Status) Bench {
	t.Helper()
	result := &verdict.Result{Outcome: verdict.Parity}
	for _, k := range ours.Keys() {
		a, err := ours.Float32(k, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ref.Float32(k, nil)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := ours.Info(k)
		j := verdict.Tap{Key: k, Shape: info.Shape, Status: verdict.OK, HasDrift: true,
			Drift: verdict.Measure(a, b, info.Shape), OpOurs: 0, Allowance: 1e-12}
		if s, ok := wrong[k.Tap]; ok {
			j.Status = s
		}
		result.Taps = append(result.Taps, j)
	}
	return Bench{Reference: ref, Ours: ours, Result: result}
}

// spike puts an outlier into one tap of layer 1.
func spike(of tap.Tap, place int, value float64) func(tap.Key, tap.Dims, []float64) {
	return func(k tap.Key, d tap.Dims, v []float64) {
		plain(k, d, v)
		if k.Tap == of && k.Layer == 1 {
			for at := place; at < len(v); at += len(v) / d.T {
				v[at] = value
			}
		}
	}
}

func TestClearedNothingOdd(t *testing.T) {
	b := bench(t, madeUp(t, 1, prompt, plain), madeUp(t, 1, prompt, plain), nil)
	got, err := Cleared(b)
	if err != nil || len(got) != 0 {
		t.Errorf("%+v, %v; want nothing", got, err)
	}
}

// What both sides have is cleared, with its place and both values; what ours
// alone has, and what stands at a wrong op or behind one, is not.
func TestCleared(t *testing.T) {
	odd, even := spike(tap.LOut, 5, 30), plain
	for _, c := range []struct {
		name      string
		ref, ours func(tap.Key, tap.Dims, []float64)
		status    verdict.Status
		want      bool
	}{
		{"both", odd, odd, verdict.OK, true},
		{"ours alone", even, odd, verdict.OK, false},
		{"reference alone", odd, even, verdict.OK, false},
		{"other channel", spike(tap.LOut, 6, 30), odd, verdict.OK, false},
		{"wrong", odd, odd, verdict.Introduced, false},
		{"inherited", odd, odd, verdict.Inherited, false},
	} {
		b := bench(t, madeUp(t, 1, prompt, c.ref), madeUp(t, 1, prompt, c.ours), map[tap.Tap]verdict.Status{tap.LOut: c.status})
		got, err := Cleared(b)
		if err != nil {
			t.Fatal(err)
		}
		if !c.want {
			if len(got) != 0 {
				t.Errorf("%s: cleared %+v", c.name, got)
			}
			continue
		}
		if len(got) == 0 {
			t.Errorf("%s: nothing cleared", c.name)
			continue
		}
		s := got[0]
		if s.Key != tap.At(0, 1, tap.LOut) || s.Ours != 30 || s.Reference != 30 || len(s.Index) != 2 || s.Index[1] != 5 || s.Why == "" {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

// Each kind of oddity is seen at its tap.
func TestClearedKinds(t *testing.T) {
	every := func(k tap.Key, d tap.Dims, v []float64) {
		plain(k, d, v)
		switch k.Tap {
		case tap.KBias:
			v[3] = -34
		case tap.KQ:
			v[7] = 300
		case tap.KQSoftMax:
			clear(v[3*d.C() : 4*d.C()])
			v[3*d.C()] = 1
		case tap.FFNInp:
			v[9] = 1000
		case tap.FFNSwiglu:
			v[11] = 5000
		}
	}
	got, err := Cleared(bench(t, madeUp(t, 2, prompt, every), madeUp(t, 2, prompt, every), nil))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[tap.Tap]float64{}
	for _, s := range got {
		seen[s.Key.Tap] = s.Ours
	}
	for of, want := range map[tap.Tap]float64{tap.KBias: -34, tap.KQ: 300, tap.KQSoftMax: 1, tap.FFNInp: 1000, tap.FFNSwiglu: 5000} {
		if seen[of] != want {
			t.Errorf("%s: cleared %v, want %v; all: %+v", of, seen[of], want, got)
		}
	}
	if len(got) > mostCleared {
		t.Errorf("%d entries", len(got))
	}
}

func TestOutliers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	v := make([]float64, 500)
	for i := range v {
		v[i] = math.Exp(rng.NormFloat64())
	}
	v[17] = 1e4
	marks, median := outliers(v)
	if !(math.Abs(median-1) < 0.2) || !(marks[17] > 1) {
		t.Errorf("median %g, outlier scores %g", median, marks[17])
	}
	for i, m := range marks {
		if m > 1 && math.Abs(v[i]) < striking*median {
			t.Errorf("%g scores %g at a median of %g", v[i], m, median)
		}
	}
	for name, v := range map[string][]float64{
		"few": {1, 1, 100}, "zeros": make([]float64, 20), "all the same": {1, 1, 1, 1, 1, 1, 1, 1, 1, 50}, "none": nil,
	} {
		marks, _ := outliers(v)
		for i, m := range marks {
			if m != 0 {
				t.Errorf("%s: %g scores %g", name, v[i], m)
			}
		}
	}
}
