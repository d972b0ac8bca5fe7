package qwen2_test

import (
	"slices"
	"testing"

	"attndiff/ours/device"
	"attndiff/ours/qwen2"
	"attndiff/traces/execution"
	"attndiff/traces/synth"
	"attndiff/traces/tap"
)

// TestLaunches checks that what is noted of a step is what ran, edits
// included, and only of recorded steps.
func TestLaunches(t *testing.T) {
	f := tiny(t, "F16", func(s *synth.Spec) { s.Layers = 4 })
	edit := func(ops []qwen2.Op) []qwen2.Op {
		for i := range ops {
			switch ops[i].At.Tap {
			case tap.KQSoftMax:
				ops[i].Launch.Args[5] = device.Float(3)
			case tap.AttnOut:
				ops[i].Gemm.Alpha = 5
			case tap.FFNNorm:
				ops[i].Launch = nil
			}
		}
		return ops
	}
	m := load(t, f, qwen2.Options{KV: "f16", Capacity: 10, Edit: edit})
	hp := m.Hparams()
	if m.Launches() != nil {
		t.Error("launches before any step")
	}
	feed(t, m, randomTokens(8, hp.NVocab), []int{5, 1, 1, 1}, newMemory(t))
	list := m.Launches()
	if len(list) != 2 {
		t.Fatalf("%d steps noted, want prefill and decode", len(list))
	}
	for step, l := range list {
		if l.Step != step || l.Past != 5*step || l.Tokens != 5-4*step || !slices.Equal(l.Layers, []int{0, 1, 3}) {
			t.Errorf("step %d: %d tokens after %d, layers %v", l.Step, l.Tokens, l.Past, l.Layers)
		}
		if want := 3 + 3*(int(tap.Count)-3); len(l.List) != want {
			t.Errorf("step %d: %d ops, want %d", step, len(l.List), want)
		}
		if op := l.Find("kq_soft_max", 3); op.Launch.Args[5].Number != 3 || !op.Launch.Args[5].Float || op.Launch.Grid != [3]int{l.Tokens, hp.NHead, 1} {
			t.Errorf("step %d: softmax launched as %+v", step, op.Launch)
		}
		if op := l.Find("attn_out", 0); op.Gemm.Alpha != 5 || op.Gemm.A.Buffer != "blk.0.attn_output.weight" || op.Gemm.A.Type != "f16" || op.Gemm.B.Buffer != "kqv" {
			t.Errorf("step %d: output projection ran as %+v", step, op.Gemm)
		}
		if op := l.Find("ffn_norm", 1); op.Launch != nil || op.Gemm != nil {
			t.Errorf("step %d: a launch that was left out: %+v", step, op)
		}
		layer := 10 * hp.NHeadKV * hp.HeadDim * 2
		if op := l.Find("k_cache", 1); op.Out.Buffer != "k_cache" || op.Out.Offset != layer || op.Launch.Args[1].Offset != layer {
			t.Errorf("step %d: layer 1's cache at %d and %d, want %d", step, op.Out.Offset, op.Launch.Args[1].Offset, layer)
		}
		if err := (execution.Notes{}).PutLaunches(l); err != nil {
			t.Error(err)
		}
	}
	feed(t, m, randomTokens(2, hp.NVocab), []int{2}, nil)
	if len(m.Launches()) != 2 {
		t.Error("a step without recording changed the notes")
	}
}
