package llamacpp_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"attndiff/reference/llamacpp"
	"attndiff/traces/half"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// recording is one tensor as it was put.
type recording struct {
	dtype trace.DType
	shape []int
	raw   []byte
}

// memory is a sink that keeps everything, and the order it came in.
type memory struct {
	tensors map[tap.Key]recording
	order   []tap.Key
	only    func(tap.Key) bool // nil for all
}

func newMemory() *memory { return &memory{tensors: map[tap.Key]recording{}} }

func (m *memory) Wants(k tap.Key) bool { return m.only == nil || m.only(k) }

func (m *memory) Put(k tap.Key, dt trace.DType, shape []int, raw []byte) error {
	m.tensors[k] = recording{dt, slices.Clone(shape), bytes.Clone(raw)}
	m.order = append(m.order, k)
	return nil
}

// values returns a tensor's elements widened to float32.
func (m *memory) values(t *testing.T, k tap.Key) []float32 {
	t.Helper()
	r, ok := m.tensors[k]
	if !ok {
		t.Fatalf("%v was not recorded", k)
	}
	out := make([]float32, len(r.raw)/r.dtype.Size())
	for i := range out {
		switch r.dtype {
		case trace.F16:
			out[i] = half.FromF16(binary.LittleEndian.Uint16(r.raw[2*i:]))
		case trace.F32:
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(r.raw[4*i:]))
		default:
			t.Fatalf("%v is %s", k, r.dtype)
		}
	}
	return out
}

// open opens the tiny model with matrices of a type.
func open(t testing.TB, typ string, cfg llamacpp.Config) *llamacpp.Engine {
	t.Helper()
	cfg.Model = synthtest.Tiny(t, typ)
	if cfg.Context == 0 {
		cfg.Context = 512
	}
	if cfg.Threads == 0 {
		cfg.Threads = 1
	}
	e, err := llamacpp.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// prompt returns n token ids, the same in every run.
func prompt(e *llamacpp.Engine, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((i*37 + 11) % e.Hparams().NVocab)
	}
	return ids
}

// generate runs a prompt and then decodes greedily; it returns every step's
// logits.
func generate(t testing.TB, e *llamacpp.Engine, ids []int32, decodes int, sink func(step int) trace.Sink) [][]float32 {
	t.Helper()
	var all [][]float32
	for step := 0; step <= decodes; step++ {
		logits, err := e.Step(step, ids, sink(step))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, logits)
		ids = []int32{argmax(logits)}
	}
	return all
}

func argmax(v []float32) int32 {
	best := 0
	for i := range v {
		if v[i] > v[best] {
			best = i
		}
	}
	return int32(best)
}

// always records every step in m; never records none.
func always(m *memory) func(int) trace.Sink { return func(int) trace.Sink { return m } }
func never(int) trace.Sink                  { return nil }

// sameBits compares logits exactly: NaNs count by their bits.
func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// expectSome expects m to hold what it wants of full, all of it and no more.
func (m *memory) expectSome(t *testing.T, full *memory) {
	t.Helper()
	want := 0
	for k, r := range full.tensors {
		if !m.only(k) {
			continue
		}
		want++
		if got, ok := m.tensors[k]; !ok || !bytes.Equal(got.raw, r.raw) {
			t.Errorf("%v: recorded %v, and different from a recording of all taps", k, ok)
		}
	}
	if len(m.order) != want {
		t.Errorf("%d recordings, want %d", len(m.order), want)
	}
}
