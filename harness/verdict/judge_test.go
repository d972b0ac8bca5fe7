package verdict

import (
	"math"
	"slices"
	"strings"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/harness/oracle/oracletest"
	"attndiff/traces/gguf"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
)

// forward runs the model under the semantics that choose gives for each op and
// returns the pass; edit may spoil what an op produced before others read it.
func forward(t testing.TB, model *gguf.File, choose func(tap.Key) oracle.Semantics, edit func(tap.Key, []float64)) *oracletest.Pass {
	t.Helper()
	return oracletest.Run{Model: model, Semantics: choose, Edit: edit}.Forward(t)
}

// at gives semantics that are changed at some taps.
func at(right oracle.Semantics, change func(*oracle.Semantics), taps ...tap.Tap) func(tap.Key) oracle.Semantics {
	return func(k tap.Key) oracle.Semantics {
		s := right
		if slices.Contains(taps, k.Tap) {
			change(&s)
		}
		return s
	}
}

// wrongTaps lists the wrong ops of a verdict.
func wrongTaps(r *Result) []tap.Tap {
	var taps []tap.Tap
	for _, group := range r.Wrong() {
		taps = append(taps, group[0].Key.Tap)
	}
	return taps
}

func tinyModel(t testing.TB) *gguf.File {
	t.Helper()
	f, err := gguf.Open(synthtest.Tiny(t, "F16"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestJudge(t *testing.T) {
	model := tinyModel(t)
	right := oracle.Default(model.Hparams)
	honest := func(tap.Key) oracle.Semantics { return right }
	ref := forward(t, model, honest, nil).Write(t, nil)
	with := func(change func(*oracle.Semantics), taps ...tap.Tap) func(tap.Key) oracle.Semantics {
		return at(right, change, taps...)
	}
	spoil := func(at tap.Key, f func([]float64)) func(tap.Key, []float64) {
		return func(k tap.Key, v []float64) {
			if k == at {
				f(v)
			}
		}
	}
	cases := []struct {
		name  string
		sem   func(tap.Key) oracle.Semantics
		edit  func(tap.Key, []float64)
		wrong []tap.Tap // in order of first appearance
		first tap.Key
	}{
		{"clean", honest, nil, nil, tap.Key{}},
		{"rope interleaved on Q and K", with(func(s *oracle.Semantics) { s.Pairing = oracle.Interleaved }, tap.QRope, tap.KRope),
			nil, []tap.Tap{tap.QRope, tap.KRope}, tap.At(0, 0, tap.QRope)},
		{"modulo heads in scores", with(func(s *oracle.Semantics) { s.KVHead = func(h, _, g int) int { return h % g } }, tap.KQ),
			nil, []tap.Tap{tap.KQ}, tap.At(0, 0, tap.KQ)},
		{"no scale", with(func(s *oracle.Semantics) { s.ScoreScale = 1 }, tap.KQSoftMax),
			nil, []tap.Tap{tap.KQSoftMax}, tap.At(0, 0, tap.KQSoftMax)},
		{"eps ten times too large", with(func(s *oracle.Semantics) { s.RMSEps = 1e-5 }, tap.AttnNorm),
			nil, []tap.Tap{tap.AttnNorm}, tap.At(0, 0, tap.AttnNorm)},
		{"mask off by one", with(func(s *oracle.Semantics) { s.Visible = func(past, t, c int) bool { return c <= past+t+1 } }, tap.KQSoftMax),
			nil, []tap.Tap{tap.KQSoftMax}, tap.At(0, 0, tap.KQSoftMax)},
		{"three faults at once", with(func(s *oracle.Semantics) {
			s.RopeBase, s.ScoreScale = 1e4, 1.0/64
		}, tap.KRope, tap.KQSoftMax), spoil(tap.At(1, 1, tap.FFNOut), func(v []float64) { v[3] *= 2 }),
			[]tap.Tap{tap.KRope, tap.KQSoftMax, tap.FFNOut}, tap.At(0, 0, tap.KRope)},
		{"one cache element in one later step", honest,
			spoil(tap.At(2, 1, tap.VCache), func(v []float64) { v[10] *= 1 + 1.0/1024 }),
			[]tap.Tap{tap.VCache}, tap.At(2, 1, tap.VCache)},
		{"one NaN", honest, spoil(tap.At(1, 0, tap.FFNUp), func(v []float64) { v[7] = math.NaN() }),
			[]tap.Tap{tap.FFNUp}, tap.At(1, 0, tap.FFNUp)},
		{"a number made of NaN", honest, func(k tap.Key, v []float64) {
			switch k {
			case tap.At(1, 0, tap.FFNUp):
				v[7] = math.NaN()
			case tap.At(1, 0, tap.FFNSwiglu):
				v[7] = 0.5
			}
		}, []tap.Tap{tap.FFNUp, tap.FFNSwiglu}, tap.At(1, 0, tap.FFNUp)},
		{"an infinity of the other sign", honest, func(k tap.Key, v []float64) {
			switch k {
			case tap.At(1, 1, tap.QProj):
				v[3] = math.Inf(1)
			case tap.At(1, 1, tap.QBias):
				v[3] = math.Inf(-1)
			}
		}, []tap.Tap{tap.QProj, tap.QBias}, tap.At(1, 1, tap.QProj)},
		{"a sum past f32's range", honest, func(k tap.Key, v []float64) {
			switch k {
			case tap.At(1, 1, tap.AttnOut):
				v[3] = 1e30
			case tap.At(1, 1, tap.FFNNorm): // 1 over the root of Inf
				clear(v)
			}
		}, []tap.Tap{tap.AttnOut}, tap.At(1, 1, tap.AttnOut)},
		{"NaN in a masked column, multiplied", honest, spoil(tap.At(0, 1, tap.VBias), func(v []float64) { v[len(v)-1] = math.NaN() }),
			[]tap.Tap{tap.VBias}, tap.At(0, 1, tap.VBias)},
		{"NaN in a masked column, left out", with(func(s *oracle.Semantics) { s.SkipsMasked = true }, tap.KQV),
			spoil(tap.At(0, 1, tap.VBias), func(v []float64) { v[len(v)-1] = math.NaN() }),
			[]tap.Tap{tap.VBias}, tap.At(0, 1, tap.VBias)},
		{"a masked column left out and another head wrong", with(func(s *oracle.Semantics) { s.SkipsMasked = true }, tap.KQV),
			func(k tap.Key, v []float64) {
				switch k {
				case tap.At(0, 1, tap.VBias):
					v[len(v)-1] = math.NaN()
				case tap.At(0, 1, tap.KQV):
					v[model.Hparams.NHead*model.Hparams.HeadDim-1] += 0.5 // of the first token, which does not see the NaN
				}
			}, []tap.Tap{tap.VBias, tap.KQV}, tap.At(0, 1, tap.VBias)},
		{"sums below f32's normal range", honest, spoil(tap.At(0, 1, tap.KQSoftMax), func(v []float64) {
			for i := range v[:5] {
				v[i] *= 1e-41
			}
		}), []tap.Tap{tap.KQSoftMax}, tap.At(0, 1, tap.KQSoftMax)},
		{"masked probability", honest, spoil(tap.At(0, 1, tap.KQSoftMax), func(v []float64) { v[4] = 1e-30 }),
			[]tap.Tap{tap.KQSoftMax}, tap.At(0, 1, tap.KQSoftMax)},
		{"one head of one token", honest, spoil(tap.At(0, 1, tap.KQV), func(v []float64) {
			for i := range 32 {
				v[i] *= 1.001
			}
		}), []tap.Tap{tap.KQV}, tap.At(0, 1, tap.KQV)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ours := forward(t, model, c.sem, c.edit).Write(t, nil)
			r, err := Judge(ref, ours, model, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if wrong := wrongTaps(r); !slices.Equal(wrong, c.wrong) {
				t.Errorf("wrong ops %v, want %v", wrong, c.wrong)
				for _, x := range r.Taps {
					if x.Status == Introduced || x.Status == NoOracle {
						t.Logf("%s %s: %s", x.Key, x.Status, x.Why)
					}
				}
			}
			switch {
			case c.wrong == nil && r.Outcome != Parity:
				t.Errorf("outcome %s", r.Outcome)
			case c.wrong != nil && (r.Outcome != Divergence || r.First == nil || r.First.Key != c.first):
				t.Errorf("outcome %s, first %+v, want first %s", r.Outcome, r.First, c.first)
			}
		})
	}
}

// TestJudgeGaps: where ours recorded only some taps, the composition across
// the gap is judged.
func TestJudgeGaps(t *testing.T) {
	model := tinyModel(t)
	right := oracle.Default(model.Hparams)
	honest := func(tap.Key) oracle.Semantics { return right }
	ref := forward(t, model, honest, nil).Write(t, nil)
	noScale := func(k tap.Key) oracle.Semantics {
		s := right
		if k.Tap == tap.KQSoftMax {
			s.ScoreScale = 1
		}
		return s
	}
	sparse := func(k tap.Key) bool { return k.Tap == tap.KQV || k.Tap == tap.LOut || k.Tap == tap.ResultOutput }
	for name, c := range map[string]struct {
		sem   func(tap.Key) oracle.Semantics
		wrong tap.Key
	}{"clean": {honest, tap.Key{}}, "no scale": {noScale, tap.At(0, 0, tap.KQV)}} {
		t.Run(name, func(t *testing.T) {
			ours := forward(t, model, c.sem, nil).Write(t, sparse)
			r, err := Judge(ref, ours, model, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if c.wrong == (tap.Key{}) {
				if r.Outcome != Parity {
					t.Fatalf("outcome %s: %s %s", r.Outcome, r.First.Key, r.First.Why)
				}
				return
			}
			if r.First == nil || r.First.Key != c.wrong || !slices.Contains(r.First.Composed, tap.KQSoftMax) {
				t.Fatalf("first = %+v, want %s composed across kq_soft_max", r.First, c.wrong)
			}
			if groups := r.Wrong(); len(groups) != 1 {
				t.Fatalf("%d wrong ops, want kqv alone", len(groups))
			}
		})
	}
}

// TestJudgeReach: across a gap that costs too much to recompute drift alone
// judges, and the verdict says so; what is near is judged as ever.
func TestJudgeReach(t *testing.T) {
	model := tinyModel(t)
	right := oracle.Default(model.Hparams)
	honest := func(tap.Key) oracle.Semantics { return right }
	ref := forward(t, model, honest, nil).Write(t, nil)
	firstLayer := func(k tap.Key) bool { return k.Layer == 0 || !k.Tap.PerLayer() }
	wrongDown := func(k tap.Key) oracle.Semantics { // where no tap was recorded
		s := right
		if k.Tap == tap.FFNSwiglu && k.Layer == 1 {
			s.Activation = func(g float64) float64 { return max(g, 0) }
		}
		return s
	}
	for name, c := range map[string]struct {
		sem   func(tap.Key) oracle.Semantics
		first tap.Tap // 0 for parity
	}{"clean": {honest, 0}, "wrong in between": {wrongDown, tap.ResultNorm}} {
		t.Run(name, func(t *testing.T) {
			r, err := Judge(ref, forward(t, model, c.sem, nil).Write(t, firstLayer), model, Options{Reach: 1})
			if err != nil {
				t.Fatal(err)
			}
			if first := r.First; (first != nil) != (c.first != 0) || first != nil && (first.Key.Tap != c.first || !first.Far) {
				t.Errorf("first %+v, want %s", first, c.first)
			}
			for _, x := range r.Taps {
				if far := x.Key.Tap == tap.ResultNorm; x.Far != far || far != math.IsNaN(x.OpOurs) {
					t.Errorf("%s: far %v, op_ours %g", x.Key, x.Far, x.OpOurs)
				}
			}
			if !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.HasPrefix(n, "result_norm judged by drift alone") }) {
				t.Errorf("notes %q", r.Notes)
			}
		})
	}
}

// TestDriftOnly: without a model drift alone decides and the first op on each
// path is blamed.
func TestDriftOnly(t *testing.T) {
	model := tinyModel(t)
	right := oracle.Default(model.Hparams)
	honest := func(tap.Key) oracle.Semantics { return right }
	ref := forward(t, model, honest, nil).Write(t, nil)
	ours := forward(t, model, honest, func(k tap.Key, v []float64) {
		if k == tap.At(0, 1, tap.VProj) {
			v[0] += 1
		}
	}).Write(t, nil)
	r, err := Judge(ref, ref, nil, Options{})
	if err != nil || r.Outcome != Parity || r.Oracle {
		t.Fatalf("a trace against itself: %+v, %v", r, err)
	}
	r, err = Judge(ref, ours, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.First == nil || r.First.Key != tap.At(0, 1, tap.VProj) || len(r.Wrong()) != 1 {
		t.Fatalf("first = %+v, %d wrong ops", r.First, len(r.Wrong()))
	}
}

// TestDriftOnlyCUDA: llama.cpp on a GPU sums in f16, so without a model more
// drift is put up with than beside llama.cpp on the CPU.
func TestDriftOnlyCUDA(t *testing.T) {
	model := tinyModel(t)
	right := oracle.Default(model.Hparams)
	honest := func(tap.Key) oracle.Semantics { return right }
	ours := forward(t, model, honest, func(k tap.Key, v []float64) {
		if k == tap.At(0, 0, tap.QProj) {
			for i := range v {
				v[i] *= 1 + 2e-3
			}
		}
	}).Write(t, nil)
	for engine, want := range map[string]Outcome{"llama.cpp:cpu": Divergence, "llama.cpp:cuda": Parity} {
		m := forward(t, model, honest, nil)
		m.Metadata.Engine = engine
		r, err := Judge(m.Write(t, nil), ours, nil, Options{})
		if err != nil || r.Outcome != want {
			t.Errorf("%s: %v, %v; want %s", engine, r.Outcome, err, want)
		}
	}
}
