package document

import (
	"fmt"
	"strings"

	"attndiff/harness/evidence"
	"attndiff/traces/tap"
)

// gpuKernels puts beside each other what both engines launched for each op of
// attention on a GPU, as CUPTI recorded it there (traces/gpu/kernels.json). It
// is of the machine and the kernels that the evidence was taken from, not of
// this run.
func gpuKernels(p *page, list []evidence.Kernel) {
	if len(list) == 0 {
		return
	}
	p.heading(3, "As a GPU ran them")
	p.para("Recorded by CUPTI while each engine ran the shipped model on the prompt `haiku` (`traces/gpu`, where the machine is told): " +
		"grid, block, bytes of shared memory, microseconds (the median over layers). Of llama.cpp fused attention is shown where it takes an op's place.")
	for _, phase := range []string{"prefill", "decode"} {
		var rows [][]string
		for _, t := range tap.All() {
			if t > tap.AttnOut || t == tap.InpEmbd {
				continue
			}
			theirs, ours := launches(list, "llama.cpp:cuda", phase, t), launches(list, "ours:cuda", phase, t)
			if theirs != "" || ours != "" {
				rows = append(rows, []string{code(t.String()), ours, theirs})
			}
		}
		p.table([]string{phase, "ours:cuda", "llama.cpp:cuda"}, rows)
	}
}

// launches words the kernels that an engine launched for a tap.
func launches(list []evidence.Kernel, engine, phase string, t tap.Tap) string {
	var parts []string
	for _, k := range list {
		if k.Engine != engine || k.Phase != phase || k.Tap != t.String() || k.Variant != "" && t != tap.KQV {
			continue
		}
		name, _, _ := strings.Cut(k.Kernel, "<")
		part := fmt.Sprintf("%s %s × %s, %d B, %.1f µs", code(clip(name, 48)), dim(k.Grid), dim(k.Block), k.SharedBytes, k.Microseconds)
		if k.Variant != "" {
			part = text(k.Variant) + ": " + part
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}
