package trace

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"testing"

	"attndiff/traces/half"
	"attndiff/traces/tap"

	"github.com/google/go-cmp/cmp"
)

// sampleMeta is a trace of a model of two layers, fed three tokens and then
// one.
func sampleMeta() Meta {
	return Meta{
		Engine: "llama.cpp:cpu", EngineVersion: "ec98e2002", Device: "CPU", ModelSHA256: "00ff", ModelName: "tiny",
		Hparams: Hparams{
			NLayer: 2, NEmbd: 8, NHead: 2, NHeadKV: 1, HeadDim: 4, NFF: 6, NVocab: 10,
			RopeFreqBase: 1e6, RopeType: "neox", RMSEps: 1e-6, KVType: "f16",
		},
		Tokens: []int32{0, 9, 3, 4},
		Steps:  []int{3, 1},
		Notes:  map[string]string{"seed": "7", "": "a note without a name"},
	}
}

// record writes a trace with one tensor for each key, of the shape the model
// calls for, and returns its path.
func record(t testing.TB, m Meta, dt DType, keys ...tap.Key) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.safetensors")
	w, err := Create(path, len(keys))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i, k := range keys {
		shape := k.Tap.Shape(m.dims()[k.Step])
		if err := w.Put(k, dt, shape, encode(dt, sampleValues(tap.Elements(shape), i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(m); err != nil {
		t.Fatal(err)
	}
	return path
}

// sampleValues are n values, another series for each seed, that every type
// holds exactly.
func sampleValues(n, seed int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64((i*7+seed*13)%201-100) / 8
	}
	return v
}

// encode spells values as a file does.
func encode(dt DType, values []float64) []byte {
	var raw []byte
	for _, v := range values {
		switch dt {
		case F64:
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
		case F32:
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(v)))
		case F16:
			raw = binary.LittleEndian.AppendUint16(raw, half.ToF16(float32(v)))
		case BF16:
			raw = binary.LittleEndian.AppendUint16(raw, half.ToBF16(float32(v)))
		}
	}
	return raw
}

func open(t testing.TB, path string) *Reader {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestMetaRoundTrip(t *testing.T) {
	m := sampleMeta()
	r := open(t, record(t, m, F32))
	if diff := cmp.Diff(m, r.Meta()); diff != "" {
		t.Errorf("metadata (-written +read):\n%s", diff)
	}
	if len(r.Keys()) != 0 {
		t.Errorf("keys of an empty trace: %v", r.Keys())
	}
}

func TestKeysComeInExecutionOrder(t *testing.T) {
	want := []tap.Key{
		tap.At(0, 0, tap.InpEmbd), tap.At(0, 0, tap.KQ), tap.At(0, 1, tap.AttnNorm), tap.At(0, 0, tap.ResultNorm),
		tap.At(0, 0, tap.ResultOutput), tap.At(1, 0, tap.InpEmbd), tap.At(1, 1, tap.KCache),
	}
	written := []tap.Key{want[4], want[6], want[0], want[2], want[5], want[1], want[3]}
	r := open(t, record(t, sampleMeta(), F16, written...))
	if diff := cmp.Diff(want, r.Keys()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	for i, k := range written {
		info, ok := r.Info(k)
		if want := (Info{F16, k.Tap.Shape(r.Dims(k.Step))}); !ok || !cmp.Equal(info, want) {
			t.Errorf("Info(%s) = %v, %v; want %v", k, info, ok, want)
		}
		got, err := r.Float64(k, nil)
		if want := sampleValues(tap.Elements(info.Shape), i); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s holds %v, %v; want %v", k, got, err, want)
		}
	}
	if _, ok := r.Info(tap.At(0, 1, tap.KQ)); ok {
		t.Error("Info of a tensor that is not there")
	}
}

func TestDims(t *testing.T) {
	r := open(t, record(t, sampleMeta(), F32))
	for _, c := range []struct{ step, t, p int }{{0, 3, 0}, {1, 1, 3}, {2, 0, 0}, {-1, 0, 0}} {
		want := tap.Dims{T: c.t, P: c.p, E: 8, H: 2, G: 1, D: 4, F: 6, V: 10}
		if got := r.Dims(c.step); got != want {
			t.Errorf("Dims(%d) = %+v, want %+v", c.step, got, want)
		}
	}
}

// TestAnyShapeIsRead covers what becomes a finding later and is no bad input.
func TestAnyShapeIsRead(t *testing.T) {
	k := tap.At(0, 0, tap.QRope) // the model calls for [3 2 4]
	for _, shape := range [][]int{{3, 4, 2}, {24}, {}, {3, 0, 4}, {1, 2, 4}, {3, 2, 4, 1}} {
		path := filepath.Join(t.TempDir(), "x")
		w, err := Create(path, 1)
		if err != nil {
			t.Fatal(err)
		}
		values := sampleValues(tap.Elements(shape), 1)
		if err := w.Put(k, F32, shape, encode(F32, values)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(sampleMeta()); err != nil {
			t.Fatal(err)
		}
		r := open(t, path)
		if info, _ := r.Info(k); !cmp.Equal(info.Shape, shape) {
			t.Errorf("shape %v came back as %v", shape, info.Shape)
		}
		if got, err := r.Float64(k, nil); err != nil || len(got) != len(values) {
			t.Errorf("shape %v: %d values, %v; want %d", shape, len(got), err, len(values))
		}
	}
}
