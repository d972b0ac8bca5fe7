package faults_test

import (
	"strings"
	"testing"

	"attndiff/ours/emu"
	"attndiff/ours/faults"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
)

// TestRewritesCompose plants every ordered pair of host-side faults in the ops
// of a prefill and of a decode, without running them: no pair may trip over
// what the other one left, and one that is refused names both.
func TestRewritesCompose(t *testing.T) {
	f := model(t)
	dev, err := emu.Open(kernels.Default(), emu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var edit func([]qwen2.Op) []qwen2.Op
	m, err := qwen2.Load(dev, f, qwen2.Options{KV: "f16", Capacity: 8, Edit: func(ops []qwen2.Op) []qwen2.Op {
		edit(ops)
		return nil // nothing runs
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var host []faults.Fault
	for _, fault := range faults.Catalogue() {
		if len(fault.Rewrites) > 0 {
			host = append(host, fault)
		}
	}
	for _, a := range host {
		for _, b := range host {
			if a.Name == b.Name {
				continue
			}
			var err error
			_, edit, err = faults.Apply([]faults.Fault{a, b}, kernels.Default())
			if err != nil {
				if !strings.Contains(err.Error(), a.Name) || !strings.Contains(err.Error(), b.Name) {
					t.Errorf("%s with %s: error %v names not both", a.Name, b.Name, err)
				}
				continue
			}
			m.Reset()
			for step, tokens := range [][]int32{{1, 2, 3}, {4}, {5}} {
				if _, err := m.Step(step, tokens, nil); err != nil {
					t.Fatalf("%s with %s: %v", a.Name, b.Name, err)
				}
			}
		}
	}
}

// TestStrictDeviceNamesTheKernel runs a fault on a device that takes a missing
// write for an error: it must name the kernel and the tap.
func TestStrictDeviceNamesTheKernel(t *testing.T) {
	planted, err := faults.Select("residual-tail-unwritten")
	if err != nil {
		t.Fatal(err)
	}
	src, edit, err := faults.Apply(planted, kernels.Default())
	if err != nil {
		t.Fatal(err)
	}
	dev, err := emu.Open(src, emu.Options{Checks: true, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	m, err := qwen2.Load(dev, model(t), qwen2.Options{KV: "f16", Capacity: 8, Edit: edit})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	_, err = m.Step(0, []int32{1, 2, 3}, nil)
	for _, part := range []string{"add_residual", "s0000.l00.ffn_inp", "unwritten"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want one with %q", err, part)
		}
	}
}
