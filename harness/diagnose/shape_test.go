package diagnose

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/harness/verdict"
	"attndiff/traces/gguf"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
	"attndiff/traces/trace/tracetest"
)

// Each way to lay q_rope [token, head, dim] or a cache into another shape is
// told from the values alone.
func TestArrangements(t *testing.T) {
	value := func(shape ...int) oracle.Value {
		v := oracle.Value{Shape: shape, Data: make([]float64, tap.Elements(shape)), Noise: make([]float64, tap.Elements(shape))}
		for i := range v.Data {
			v.Data[i] = float64(1 + i*i%97)
		}
		return v
	}
	axes := []string{"token", "head", "dim"}
	tests := []struct {
		name  string
		right []int
		got   []int
		from  func(at []int) []int // the right index of what lies at one; nil for padding
		want  string
	}{
		{"heads outermost", []int{3, 4, 5}, []int{4, 3, 5}, func(at []int) []int { return []int{at[1], at[0], at[2]} }, "its axes are [head, token, dim]"},
		{"all reversed", []int{3, 4, 5}, []int{5, 4, 3}, func(at []int) []int { return []int{at[2], at[1], at[0]} }, "its axes are [dim, head, token]"},
		{"merged", []int{3, 4, 5}, []int{3, 20}, func(at []int) []int { return []int{at[0], at[1] / 5, at[1] % 5} }, "axes merged or split"},
		{"last token", []int{3, 4, 5}, []int{1, 4, 5}, func(at []int) []int { return []int{2, at[1], at[2]} }, "only the last 1 of 3 along token"},
		{"padded", []int{3, 4, 5}, []int{8, 4, 5}, func(at []int) []int {
			if at[0] > 2 {
				return nil
			}
			return at
		}, "token is padded from 3 to 8"},
		{"heads repeated", []int{3, 2, 5}, []int{3, 6, 5}, func(at []int) []int { return []int{at[0], at[1] / 3, at[2]} }, "each head is repeated 3 times, one by one"},
		{"heads tiled", []int{3, 2, 5}, []int{3, 6, 5}, func(at []int) []int { return []int{at[0], at[1] % 2, at[2]} }, "all heads are repeated 3 times, as a whole"},
		{"wrong values", []int{3, 4, 5}, []int{4, 3, 5}, func([]int) []int { return []int{0, 0, 0} }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			right := value(tt.right...)
			got := make([]float64, tap.Elements(tt.got))
			for i := range got {
				if from := tt.from(unravel(i, tt.got)); from != nil {
					got[i] = right.Data[ravel(from, tt.right)]
				}
			}
			var found []string
			for _, a := range arrangements(tt.right, tt.got, axes) {
				if _, ok := a.holds(right, got, trace.Info{DType: trace.F32, Shape: tt.got}); ok {
					found = append(found, a.text)
				}
			}
			if tt.want == "" && len(found) > 0 || tt.want != "" && (len(found) == 0 || !strings.Contains(found[0], tt.want)) {
				t.Errorf("found %q, want %q", found, tt.want)
			}
		})
	}
}

// From trace to cause: embedding rows recorded as [channel, token]. With a
// model the cause says how they lie, without one it names both shapes.
func TestWrongShape(t *testing.T) {
	model, err := gguf.Open(synthtest.Tiny(t, "F32"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	tokens := []int32{7, 1, 30}
	width := model.Hparams.NEmbd
	rows := make([]float32, 0, len(tokens)*width)
	for _, id := range tokens {
		row, err := model.Float32Rows(gguf.TokenEmbd, int(id), int(id)+1)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row...)
	}
	record := func(shape []int, values []float32) *trace.Reader {
		path := filepath.Join(t.TempDir(), "t.safetensors")
		w, err := trace.Create(path, 1)
		if err != nil {
			t.Fatal(err)
		}
		var raw []byte
		for _, v := range values {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		if err := w.Put(tap.At(0, tap.NoLayer, tap.InpEmbd), trace.F32, shape, raw); err != nil {
			t.Fatal(err)
		}
		hp := model.Hparams
		hp.KVType = "f32"
		meta := trace.Meta{Engine: "mine", ModelSHA256: strings.Repeat("ab", 32), ModelName: "m", Hparams: hp, Tokens: tokens, Steps: []int{len(tokens)}}
		return tracetest.Finish(t, w, path, meta)
	}
	turned := make([]float32, len(rows))
	for i, v := range rows {
		turned[i%width*len(tokens)+i/width] = v
	}
	ref, ours := record([]int{len(tokens), width}, rows), record([]int{width, len(tokens)}, turned)
	for name, with := range map[string]*gguf.File{"with the model": model, "without": nil} {
		t.Run(name, func(t *testing.T) {
			result, err := verdict.Judge(ref, ours, with, verdict.Options{})
			if err != nil {
				t.Fatal(err)
			}
			found, err := Run(Bench{Reference: ref, Ours: ours, Model: with, Result: result})
			if err != nil {
				t.Fatal(err)
			}
			if len(found) != 1 || found[0].Tap != tap.InpEmbd {
				t.Fatalf("found %+v, want inp_embd alone", found)
			}
			c := found[0].Cause
			parts := []string{"[128 3]", "[3 128]"}
			if with != nil {
				parts = append(parts, "its axes are [channel, token]")
			}
			if c.ID != "wrong-shape" || c.Status != Proven || slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(c.Title, p) }) {
				t.Errorf("cause %+v, want wrong-shape with %q", c, parts)
			}
			if found[0].Fix == "" {
				t.Error("no fix")
			}
		})
	}
}
