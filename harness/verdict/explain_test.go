package verdict

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/harness/oracle/oracletest"
	"attndiff/traces/gguf"
	"attndiff/traces/synth"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
)

// TestOracleNotValid: where the reference means something else than the oracle,
// ours is never blamed; that both mean the same is parity, that they differ is
// a divergence of nobody.
func TestOracleNotValid(t *testing.T) {
	model := tinyModel(t)
	right := oracle.Default(model.Hparams)
	base := func(b float64) func(tap.Key) oracle.Semantics {
		return at(right, func(s *oracle.Semantics) { s.RopeBase = b }, tap.QRope, tap.KRope)
	}
	ref := oracletest.Run{Model: model, Semantics: base(2e4)}.Forward(t).Write(t, nil)
	for _, c := range []struct {
		name    string
		base    float64
		outcome Outcome
	}{{"the same as the reference", 2e4, Parity}, {"as the oracle", right.RopeBase, Divergence}, {"a third way", 300, Divergence}} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Judge(ref, oracletest.Run{Model: model, Semantics: base(c.base)}.Forward(t).Write(t, nil), model, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if r.Outcome != c.outcome || len(r.Wrong()) != 0 || r.First != nil {
				t.Errorf("%s, wrong ops %v, first %v; want %s and nobody blamed", r.Outcome, wrongTaps(r), r.First, c.outcome)
			}
			if (r.Unexplained != nil) != (c.outcome == Divergence) {
				t.Errorf("unexplained drift: %+v", r.Unexplained)
			}
			if r.Unexplained != nil && (r.Unexplained.Key != tap.At(0, 0, tap.QRope) || r.Notes[0] != r.Unexplained.Why) {
				t.Errorf("unexplained first at %s, notes %q; want q_rope of layer 0, said first", r.Unexplained.Key, r.Notes)
			}
			for _, x := range r.Taps {
				if want := x.Key.Tap == tap.QRope || x.Key.Tap == tap.KRope; (x.Status == NoOracle) != want {
					t.Errorf("%s is %s", x.Key, x.Status)
				}
			}
		})
	}
}

// TestNotFiniteOnBothSides: NaN is never parity, not even when the reference
// has it too and every op passes it on as it should.
func TestNotFiniteOnBothSides(t *testing.T) {
	x := Tap{Key: tap.At(0, 0, tap.KQ), Status: OK, HasDrift: true, Blind: true, Drift: Metrics{NMSE: math.NaN(), NaNA: 3, FirstBad: []int{0, 1, 2}}}
	if why := x.unexplained(); !strings.Contains(why, "3 NaN") || !strings.Contains(why, "[0 1 2]") {
		t.Errorf("said %q", why)
	}
}

// TestGrowth: errors within every op's allowance that point the same way in
// every layer grow past what they explain; the same errors that point anywhere
// do not.
func TestGrowth(t *testing.T) {
	const layers = 32
	model := deepModel(t, layers)
	right := oracle.Default(model.Hparams)
	honest := func(tap.Key) oracle.Semantics { return right }
	ref := oracletest.Run{Model: model, Semantics: honest}.Forward(t).Write(t, nil)
	for _, steady := range []bool{false, true} {
		r := rand.New(rand.NewPCG(1, 1))
		way := direction(r, model.Hparams.NEmbd)
		pass := oracletest.Run{Model: model, Semantics: honest, Edit: func(k tap.Key, v []float64) {
			if k.Tap != tap.AttnOut && k.Tap != tap.FFNOut {
				return
			}
			if !steady {
				way = direction(r, len(way))
			}
			for lo := 0; lo < len(v); lo += len(way) {
				row := v[lo : lo+len(way)]
				size := 3e-4 * math.Sqrt(energy(row)/float64(len(row)))
				for i := range row {
					row[i] = float64(float32(row[i] + size*way[i]))
				}
			}
		}}.Forward(t)
		pass.Metadata.Engine = "numpy" // whose products may narrow to f16
		got, err := Judge(ref, pass.Write(t, nil), model, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Wrong()) != 0 || len(got.Growth) != layers {
			t.Fatalf("wrong ops %v, %d layers; every op is within its allowance", wrongTaps(got), len(got.Growth))
		}
		last := got.Growth[layers-1]
		if want := map[bool]Outcome{false: Parity, true: Divergence}[steady]; got.Outcome != want {
			t.Errorf("the same way in each layer %v: %s, want %s; drift %.3g, explained %.3g", steady, got.Outcome, want, last.Drift, last.Explained)
		}
		if share := last.Drift / last.Explained; !steady && !(share > 0.2 && share < 5) {
			t.Errorf("drift of independent errors is %.3g of what is explained", share)
		}
	}
}

// direction is a random vector of elements 1 and -1.
func direction(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(2*r.IntN(2) - 1)
	}
	return v
}

// deepModel is a narrow model of many layers.
func deepModel(t *testing.T, layers int) *gguf.File {
	path := synthtest.Tiny(t, "F16", func(s *synth.Spec) {
		s.Layers, s.Embd, s.Heads, s.HeadsKV, s.FF = layers, 64, 2, 1, 96
	})
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
