package engines

import (
	"strings"
	"testing"

	"attndiff/ours/qwen2"
	"attndiff/traces/tap"
)

// The fused path has a kernel for each phase; the unfused one has one for both.
func TestLocatePhase(t *testing.T) {
	for _, c := range []struct {
		path   qwen2.Path
		tokens int
		want   string
	}{
		{qwen2.Fused, 14, "fused_prefill"}, {qwen2.Fused, 1, "fused_decode"},
		{qwen2.Unfused, 14, "weighted_sum"}, {qwen2.Unfused, 1, "weighted_sum"},
	} {
		p := locate(c.path, tap.KQV, c.tokens)
		if !strings.HasPrefix(text(p.Function), c.want) || !strings.Contains(text(p.File), c.want) {
			t.Errorf("kqv of %d tokens on the %s path: %s in %s, want %s", c.tokens, c.path, text(p.Function), text(p.File), c.want)
		}
	}
}

// A finding has llama.cpp's CUDA kernel whatever the reference was, and that of
// fused attention where scores and softmax were not recorded.
func TestMatch(t *testing.T) {
	scores := []tap.Tap{tap.KQ, tap.KQSoftMax}
	for _, c := range []struct {
		reference    string
		of           tap.Tap
		composed     []tap.Tap
		symbol, cuda string
	}{
		{LlamaCPU, tap.QRope, nil, "ggml_rope_ext", "rope_neox"},
		{LlamaCUDA, tap.QRope, nil, "ggml_rope_ext", "rope_neox"},
		{"torch", tap.QRope, nil, "", "rope_neox"},
		{LlamaCPU, tap.KQV, nil, "ggml_mul_mat", "mul_mat_vec_f"},
		{LlamaCPU, tap.KQV, []tap.Tap{tap.VCache}, "ggml_mul_mat", "mul_mat_vec_f"},
		{LlamaCPU, tap.KQV, scores, "ggml_mul_mat", "flash_attn_ext_vec"},
		{"torch", tap.KQV, scores, "", "flash_attn_ext_vec"},
		{LlamaCPU, tap.AttnOut, append(scores, tap.KQV), "build_lora_mm", "cublasSgemm"},
	} {
		s := Match(c.reference)(c.of, c.composed)
		if got := text(s.Symbol); got != c.symbol || (s.Arithmetic == nil) != (c.symbol == "") {
			t.Errorf("%s, %s: llama.cpp calls %q with arithmetic %v, want %q", c.reference, c.of, got, s.Arithmetic, c.symbol)
		}
		if s.CUDA == nil || text(s.CUDA.Symbol) != c.cuda || s.CUDA.Note == "" {
			t.Errorf("%s, %s across %v: CUDA kernel %+v, want %s", c.reference, c.of, c.composed, s.CUDA, c.cuda)
		}
	}
}

// text is "" for null.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
