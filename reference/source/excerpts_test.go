package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every excerpt is found, in its line, and is whole: no passage runs past the
// end of its function.
func TestEveryExcerpt(t *testing.T) {
	tree, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range Excerpts() {
		s, err := tree.Quote(e)
		if err != nil {
			t.Error(err)
			continue
		}
		text, err := os.ReadFile(filepath.Join(string(tree), s.File))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		if !strings.Contains(squeeze(lines[s.Line-1]), squeeze(s.Symbol)) {
			t.Errorf("excerpt %d: %s:%d has no %s: %s", e, s.File, s.Line, s.Symbol, lines[s.Line-1])
		}
		want := passages[e].rows
		for _, p := range passages[e].then {
			want += 1 + p.rows
		}
		if len(s.Snippet) != want {
			t.Errorf("excerpt %d: %d lines, want %d: %q", e, len(s.Snippet), want, s.Snippet)
		}
	}
}

// What excerpts must say for the answers that rest on them.
func TestExcerpts(t *testing.T) {
	tree, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	for e, want := range map[Excerpt]string{
		ScoreScale:       "1.0f/sqrtf(float(n_embd_head))",
		Rotation:         "Kcur = ggml_rope_ext(",
		CacheThenRead:    "ggml_tensor * v = mctx_cur->get_v(ctx0, il);",
		Scores:           "ggml_mul_mat_set_prec(kq, GGML_PREC_F32);",
		StoreV:           "return ggml_set_rows(ctx, v_view, v_cur, v_idxs);",
		ViewV:            "ggml_row_size(v->type, kv_size*n_embd_v_gqa)",
		CausalMask:       "if (causal_attn && p0 > p1) {",
		Biases:           "layer.bv = create_tensor(tn(LLM_TENSOR_ATTN_V, \"bias\", i), {n_embd_gqa}, TENSOR_NOT_REQUIRED);",
		RopeAngle:        "theta *= theta_scale;",
		RopeKernel:       "dst[idst + n_dims / 2] = ggml_cuda_cast<D>(x0 * sin_theta + x1 * cos_theta);",
		SoftMaxLaunch:    "const dim3 block_nums(params.ne01, params.ne02, params.ne03);",
		BroadcastKernel:  "fastdiv((uint32_t) channel_dst, channel_ratio)",
		BatchedGemm:      "beta, ( void **) (ptrs_dst.get() + 0*ne23), cu_data_type, ne0,",
		Gemm:             "&beta, dst_dd_i, ldc",
		SetRowsKernel:    "dst_row_ptr[i00] = ggml_cuda_cast<dst_t>(src0_row[i00]);",
		NeoxArchitecture: "case LLM_ARCH_QWEN2: ... return LLAMA_ROPE_TYPE_NEOX;",
		NormArchitecture: "case LLM_ARCH_LLAMA: ... return LLAMA_ROPE_TYPE_NORM;",
		FreqBase:         "ml.get_key(LLM_KV_ROPE_FREQ_BASE, hparams.rope_freq_base_train, false);",
	} {
		s, err := tree.Quote(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := squeeze(strings.Join(s.Snippet, " ")); !strings.Contains(got, want) {
			t.Errorf("excerpt %d shows %q, which lacks %q", e, got, want)
		}
	}
}
