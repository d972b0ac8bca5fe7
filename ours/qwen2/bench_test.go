package qwen2_test

import (
	"fmt"
	"testing"

	"attndiff/ours/emu"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
	"attndiff/traces/gguf"
	"attndiff/traces/synth"
	"attndiff/traces/synth/synthtest"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// discard is a sink that wants everything and keeps nothing.
type discard struct{}

func (discard) Wants(tap.Key) bool                            { return true }
func (discard) Put(tap.Key, trace.DType, []int, []byte) error { return nil }

// BenchmarkStep times a prefill and a decode behind it on the emulator, checks
// off, in Qwen2.5-0.5B's attention geometry with 3 layers; recording shows what
// reading every tap out costs.
func BenchmarkStep(b *testing.B) {
	f, err := gguf.Open(synthtest.Tiny(b, "F16", func(s *synth.Spec) {
		s.Layers, s.Embd, s.Heads, s.HeadsKV, s.FF, s.Vocab = 3, 896, 14, 2, 896, 1024
	}))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	dev, err := emu.Open(kernels.Default(), emu.Options{})
	if err != nil {
		b.Fatal(err)
	}
	m, err := qwen2.Load(dev, f, qwen2.Options{KV: "f16", Capacity: 512})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	tokens := randomTokens(257, f.Hparams.NVocab)
	for _, n := range []int{32, 256} {
		for name, sink := range map[string]trace.Sink{"plain": nil, "recording": discard{}} {
			b.Run(fmt.Sprintf("prefill-%d/%s", n, name), func(b *testing.B) {
				for b.Loop() {
					m.Reset()
					if _, err := m.Step(0, tokens[:n], sink); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("decode-after-%d/%s", n, name), func(b *testing.B) {
				m.Reset()
				if _, err := m.Step(0, tokens[:n], nil); err != nil {
					b.Fatal(err)
				}
				for i := 1; b.Loop(); i++ {
					if n+i > 512 {
						m.Reset()
						i = 1
					}
					if _, err := m.Step(i, tokens[n:n+1], sink); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
