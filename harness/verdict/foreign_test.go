package verdict

import (
	"slices"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/harness/oracle/oracletest"
	"attndiff/traces/half"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// engine is a simulated engine: it narrows weights and operands of products by
// one function and what every op gives by another.
type engine struct {
	name          string
	note          string // of its arithmetic, "" for none
	operand, kept func(float32) float32
	file          trace.DType // that its trace is written in
}

func exactly(x float32) float32 { return x }

// engines are what people record: f32 with f16 on the way into products, and
// models held in f16 or bf16, recorded as they are or widened.
var engines = []engine{
	{"f32", "f32", exactly, exactly, trace.F32},
	{"f16 operands", "", half.RoundF16, exactly, trace.F32},
	{"f16", "", half.RoundF16, half.RoundF16, trace.F16},
	{"f16 widened", "", half.RoundF16, half.RoundF16, trace.F32},
	{"bf16", "", half.RoundBF16, half.RoundBF16, trace.BF16},
	{"bf16 widened", "", half.RoundBF16, half.RoundBF16, trace.F64},
	{"bf16 products, stated", "bf16", half.RoundBF16, exactly, trace.F32},
}

// product reports whether a tap is a product of two operands.
func product(t tap.Tap) bool {
	switch t {
	case tap.QProj, tap.KProj, tap.VProj, tap.KQ, tap.KQV, tap.AttnOut, tap.FFNGate, tap.FFNUp, tap.FFNOut, tap.ResultOutput:
		return true
	}
	return false
}

// variant is the engine's arithmetic as an experiment on the oracle.
func (e engine) variant() oracle.Variant {
	round := func(v []float64, f func(float32) float32) []float64 {
		v = slices.Clone(v)
		for i, x := range v {
			v[i] = float64(f(float32(x)))
		}
		return v
	}
	return oracle.Variant{
		Feed: func(of, _ tap.Key, x oracle.Rows, _ tap.Dims) oracle.Rows {
			if product(of.Tap) {
				x.V = round(x.V, e.operand)
			}
			return x
		},
		Matrix: func(_ tap.Key, w []float64, _, _ int) []float64 { return round(w, e.operand) },
		Result: func(of tap.Key, y oracle.Rows, _ tap.Dims, _ oracle.Fetch) (oracle.Rows, error) {
			if of.Tap != tap.KCache && of.Tap != tap.VCache {
				y.V = round(y.V, e.kept)
			}
			return y, nil
		},
	}
}

// TestForeignEngines: an honest engine is parity in whatever type it computes,
// and its mistakes are found at the op they were made in.
func TestForeignEngines(t *testing.T) {
	model := tinyModel(t)
	right := oracle.Default(model.Hparams)
	ref := oracletest.Run{Model: model, Semantics: at(right, nil)}.Forward(t).Write(t, nil)
	faults := []struct {
		name   string
		change func(*oracle.Semantics)
		tap    tap.Tap
	}{
		{"none", nil, 0},
		{"rope interleaved", func(s *oracle.Semantics) { s.Pairing = oracle.Interleaved }, tap.KRope},
		{"modulo heads", func(s *oracle.Semantics) { s.KVHead = func(h, _, g int) int { return h % g } }, tap.KQ},
		{"scale by head_dim", func(s *oracle.Semantics) { s.ScoreScale = 1.0 / 32 }, tap.KQSoftMax},
		{"bias left out", func(s *oracle.Semantics) { s.BiasScale = 0 }, tap.VBias},
		{"norm weight left out", func(s *oracle.Semantics) { s.NormBare = true }, tap.FFNNorm},
		{"gelu", func(s *oracle.Semantics) { s.Activation = func(g float64) float64 { return max(g, 0) } }, tap.FFNSwiglu},
	}
	for _, e := range engines {
		for _, f := range faults {
			t.Run(e.name+"/"+f.name, func(t *testing.T) {
				var wrong []tap.Tap
				if f.change != nil {
					wrong = []tap.Tap{f.tap}
				}
				pass := oracletest.Run{Model: model, Semantics: at(right, f.change, wrong...), Variant: e.variant()}.Forward(t)
				pass.Metadata.Engine, pass.File = "torch", e.file
				if e.note != "" {
					pass.Metadata.Notes = map[string]string{noteArithmetic: e.note}
				}
				r, err := Judge(ref, pass.Write(t, nil), model, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if got := wrongTaps(r); !slices.Equal(got, wrong) {
					t.Errorf("wrong ops %v, want %v", got, wrong)
					for _, x := range r.Taps {
						if x.Status == Introduced || x.Status == NoOracle {
							t.Logf("%s %s: %s", x.Key, x.Status, x.Why)
						}
					}
				}
				if f.change == nil && r.Outcome != Parity {
					t.Errorf("outcome %s: %+v", r.Outcome, r.Unexplained)
				}
			})
		}
	}
}
