package document

import (
	"strings"
	"testing"

	"attndiff/harness/evidence"
)

// TestGPUKernels: each op's kernels of both engines stand in one row; without a
// GPU run nothing is said.
func TestGPUKernels(t *testing.T) {
	var none page
	gpuKernels(&none, nil)
	if none.b.Len() > 0 {
		t.Errorf("without a GPU run: %s", none.b.String())
	}
	kernel := func(tap, engine, variant, name string) evidence.Kernel {
		return evidence.Kernel{Tap: tap, Engine: engine, Phase: "decode", Variant: variant, Kernel: name,
			Grid: [3]int{14, 1, 1}, Block: [3]int{32, 4, 1}, SharedBytes: 128, Microseconds: 2.25, Launches: 3}
	}
	var p page
	gpuKernels(&p, []evidence.Kernel{
		kernel("kqv", "llama.cpp:cuda", "", "mul_mat_vec_f<__half, 1>"), kernel("kqv", "llama.cpp:cuda", "flash attention", "flash_attn_ext_vec<64>"),
		kernel("kqv", "ours:cuda", "", "weighted_sum_f16"), kernel("ffn_up", "ours:cuda", "", "gemm"), kernel("q_rope", "ours:cuda", "fused", "rope_neox"),
	})
	got := p.b.String()
	for _, want := range []string{"| `kqv` | `weighted_sum_f16` ", "`mul_mat_vec_f` ", "; flash attention: `flash_attn_ext_vec` ", "128 B, 2.2 µs"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	for _, not := range []string{"gemm", "rope_neox"} {
		if strings.Contains(got, not) {
			t.Errorf("%q in:\n%s", not, got)
		}
	}
}
