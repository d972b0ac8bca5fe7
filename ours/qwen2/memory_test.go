package qwen2_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/x448/float16"

	"attndiff/ours/emu"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
	"attndiff/traces/gguf"
	"attndiff/traces/synth"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// recording is one tensor a sink was given.
type recording struct {
	dtype trace.DType
	shape []int
	raw   []byte
}

// memory is a sink that keeps everything and checks shapes as it comes.
type memory struct {
	t     *testing.T
	order []tap.Key
	kept  map[tap.Key]recording
}

func newMemory(t *testing.T) *memory { return &memory{t: t, kept: map[tap.Key]recording{}} }

func (m *memory) Wants(tap.Key) bool { return true }

func (m *memory) Put(k tap.Key, dt trace.DType, shape []int, raw []byte) error {
	if len(raw) != tap.Elements(shape)*dt.Size() {
		m.t.Errorf("%s: %d bytes for shape %v of %s", k, len(raw), shape, dt)
	}
	if _, again := m.kept[k]; again {
		return fmt.Errorf("%s recorded twice", k)
	}
	m.order = append(m.order, k)
	m.kept[k] = recording{dt, slices.Clone(shape), bytes.Clone(raw)}
	return nil
}

// floats returns a recording's values.
func (r recording) floats() []float64 {
	var values []float64
	for i := 0; i < len(r.raw); i += r.dtype.Size() {
		switch r.dtype {
		case trace.F16:
			values = append(values, float64(float16.Frombits(binary.LittleEndian.Uint16(r.raw[i:])).Float32()))
		case trace.F32:
			values = append(values, float64(math.Float32frombits(binary.LittleEndian.Uint32(r.raw[i:]))))
		}
	}
	return values
}

// nmse is the error's energy relative to the wanted values'.
func nmse(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var num, den float64
	for i := range got {
		num += (got[i] - want[i]) * (got[i] - want[i])
		den += want[i] * want[i]
	}
	if num == 0 {
		return 0
	}
	return num / den
}

// tiny writes a tiny model of a weight type and opens it.
func tiny(t *testing.T, typ string, changes ...func(*synth.Spec)) *gguf.File {
	t.Helper()
	f, err := gguf.Open(synthtest.Tiny(t, typ, changes...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// load opens an emulator with all its checks on and loads f on it.
func load(t *testing.T, f *gguf.File, opt qwen2.Options) *qwen2.Model {
	t.Helper()
	dev, err := emu.Open(kernels.Default(), emu.Options{Checks: true, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	m, err := qwen2.Load(dev, f, opt)
	if err != nil {
		dev.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// feed runs steps of the given sizes over tokens, into sink.
func feed(t *testing.T, m *qwen2.Model, tokens []int32, sizes []int, sink trace.Sink) []float32 {
	t.Helper()
	var logits []float32
	for step, n := range sizes {
		var err error
		if logits, err = m.Step(step, tokens[:n], sink); err != nil {
			t.Fatal(err)
		}
		tokens = tokens[n:]
	}
	return logits
}
