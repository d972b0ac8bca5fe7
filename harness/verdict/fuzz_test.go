package verdict

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// FuzzJudge: whatever a trace of ours holds - taps missing, of any shape and
// type, NaN, infinite, empty - the judgement neither panics nor calls it
// parity when a tap has a shape of its own.
func FuzzJudge(f *testing.F) {
	for seed := range uint64(6) {
		f.Add(seed, uint8(seed*40))
	}
	model := tinyModel(f)
	right := oracle.Default(model.Hparams)
	pass := forward(f, model, func(tap.Key) oracle.Semantics { return right }, nil)
	ref := pass.Write(f, nil)
	f.Fuzz(func(t *testing.T, seed uint64, spoil uint8) {
		r := rand.New(rand.NewPCG(seed, uint64(spoil)))
		path := filepath.Join(t.TempDir(), "ours.safetensors")
		w, err := trace.Create(path, len(pass.Held))
		if err != nil {
			t.Fatal(err)
		}
		reshaped := false
		for _, k := range pass.Keys() {
			right := k.Tap.Shape(pass.Dims(k.Step))
			shape, dt := right, trace.F32
			if r.UintN(256) < uint(spoil) {
				switch r.UintN(4) {
				case 0:
					continue // not recorded
				case 1:
					shape = []int{int(r.UintN(4)), int(r.UintN(5))}
					reshaped = true
				case 2:
					dt = []trace.DType{trace.F16, trace.BF16, trace.F64}[r.UintN(3)]
				}
			}
			if err := w.Put(k, dt, shape, bytes(r, tap.Elements(shape)*dt.Size())); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(pass.Metadata); err != nil {
			t.Fatal(err)
		}
		ours, err := trace.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close()
		for _, m := range []bool{true, false} {
			judged := model
			if !m {
				judged = nil
			}
			result, err := Judge(ref, ours, judged, Options{})
			if err != nil && strings.Contains(err.Error(), "nothing that can be judged") {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if reshaped && result.Outcome != Divergence {
				t.Errorf("a tap of another shape is %s", result.Outcome)
			}
			for _, x := range result.Taps {
				if x.Status == Introduced && x.Why == "" {
					t.Errorf("%s is introduced without a reason", x.Key)
				}
			}
		}
	})
}

// bytes returns random bits, now and then runs of NaN or zeros.
func bytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	switch r.UintN(8) {
	case 0:
		clear(b)
	case 1:
		for i := range b {
			b[i] = 0xff
		}
	}
	return b
}

// TestJudgeDegenerate: tokens, steps and tensors at the edge of what a trace
// may hold.
func TestJudgeDegenerate(t *testing.T) {
	model := tinyModel(t)
	right := oracle.Default(model.Hparams)
	honest := func(tap.Key) oracle.Semantics { return right }
	pass := forward(t, model, honest, nil)
	ref := pass.Write(t, nil)

	t.Run("nothing recorded", func(t *testing.T) {
		for _, m := range []*gguf.File{model, nil} {
			if _, err := Judge(ref, pass.Write(t, func(tap.Key) bool { return false }), m, Options{}); err == nil || !strings.Contains(err.Error(), "no tensors") {
				t.Errorf("%v, want an error that says that there are no tensors", err)
			}
		}
	})
	t.Run("all NaN", func(t *testing.T) {
		spoilt := forward(t, model, honest, nil)
		for _, v := range spoilt.Held {
			for i := range v {
				v[i] = math.NaN()
			}
		}
		r, err := Judge(ref, spoilt.Write(t, nil), model, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r.First == nil || r.First.Key != tap.At(0, tap.NoLayer, tap.InpEmbd) || !r.Blind() {
			t.Errorf("first %+v, want inp_embd", r.First)
		}
	})
	t.Run("hyperparameters of another model", func(t *testing.T) {
		other := *pass
		other.Metadata.Hparams.NHead, other.Metadata.Hparams.HeadDim = 2, 64
		if _, err := Judge(ref, other.Write(t, func(tap.Key) bool { return false }), model, Options{}); err == nil {
			t.Error("no error")
		}
	})
}
