package source

import "fmt"

// Excerpt names a passage of llama.cpp that answers a question no single tap
// does: how the cache is allocated, where a mask comes from, which transposes
// cuBLAS is given.
type Excerpt uint8

// The excerpts. On the CUDA side they are what a GPU runs; a recording on the
// CPU runs the same graph.
const (
	ScoreScale       Excerpt = iota // the factor that attention is called with
	HeadDims                        // widths of a head that must agree
	ReshapeHeads                    // projections viewed as heads
	Rotation                        // RoPE's call for Q and K
	CacheThenRead                   // build_attn stores before it reads back
	PermuteHeads                    // heads made the batch axis of the products
	Scores                          // k times q, precision forced
	Probabilities                   // scale, mask and softmax in one op
	WeightedSum                     // v times probabilities, heads merged
	FlashAttention                  // the fused variant of these three
	AllocateCache                   // one K and one V tensor per layer
	NameCache                       // and their names
	StoreK                          // rows of K by number
	StoreV                          // V element by element, transposed
	ViewK                           // what decode reads of K
	ViewV                           // and of V
	RowsOfV                         // which elements of the transposed V are written
	PadCells                        // how many cells a step reads
	NextCell                        // where the search for free cells starts
	CellPosition                    // a cell remembers its position
	CausalMask                      // which cells are closed to a token
	Positions                       // the input that RoPE reads
	NextPosition                    // the position after the last one, where nobody gives one
	NeoxArchitecture                // Qwen2 pairs dims i and i+n/2
	NormArchitecture                // Llama pairs neighbours
	RopeAngle                       // theta on the CPU
	RopeKernel                      // the rotation on the GPU
	RopeLaunch                      // its launch
	FreqBase                        // where the base comes from
	LlamaFactors                    // Llama 3's frequency factors, which Qwen2 does not have
	Biases                          // optional tensors of Qwen2's attention
	RMSEps                          // the norm's eps
	SoftMaxMaximum                  // CPU: the row's maximum is subtracted
	SoftMaxKernel                   // GPU: scaled, masked, maximum kept
	SoftMaxExp                      // GPU: exp of the difference
	SoftMaxLaunch                   // its launch
	Broadcast                       // CPU: i02 = i12/r2, query head to KV head
	BroadcastKernel                 // GPU, one token: channel_dst / channel_ratio
	BatchedGemm                     // GPU, many tokens: cuBLAS over heads
	Gemm                            // GPU: a projection through cuBLAS
	SetRowsKernel                   // GPU: the cache's write

	excerpts // number of them
)

// Files that only excerpts look into.
const (
	llamaModel = "llama/llama.cpp/src/llama-model.cpp"
	llamaGraph = "llama/llama.cpp/src/models/llama.cpp"
	batch      = "llama/llama.cpp/src/llama-batch.cpp"
)

// passage is a trail to a line of a function, and how many lines from there
// tell.
func passage(file, head, line, symbol string, rows int) trail {
	return trail{file: file, function: []string{head}, line: line, symbol: symbol, rows: rows}
}

// passages says where each excerpt is.
var passages = [excerpts]trail{
	ScoreScale:       passage(qwen2, "llm_build_qwen2::llm_build_qwen2(", "cur = build_attn(inp_attn,", "build_attn", 3),
	HeadDims:         passage(qwen2, "llm_build_qwen2::llm_build_qwen2(", "GGML_ASSERT(n_embd_head == hparams.n_embd_head_k);", "GGML_ASSERT", 2),
	ReshapeHeads:     passage(qwen2, "llm_build_qwen2::llm_build_qwen2(", "Qcur = ggml_reshape_3d(ctx0, Qcur,", "ggml_reshape_3d", 3),
	Rotation:         passage(qwen2, "llm_build_qwen2::llm_build_qwen2(", "Qcur = ggml_rope_ext(", "ggml_rope_ext", 11),
	CacheThenRead:    attention("ggml_build_forward_expand(gf, q_cur);", "ggml_build_forward_expand", 23),
	PermuteHeads:     mha("q = ggml_permute(ctx0, q, 0, 2, 1, 3);", "ggml_permute", 3),
	Scores:           mha("kq = ggml_mul_mat(ctx0, k, q);", "ggml_mul_mat", 6),
	Probabilities:    mha("kq = ggml_soft_max_ext(ctx0, kq, kq_mask, kq_scale,", "ggml_soft_max_ext", 1),
	WeightedSum:      mha("kqv = ggml_mul_mat(ctx0, v, kq);", "ggml_mul_mat", 1),
	FlashAttention:   mha("cur = ggml_flash_attn_ext(ctx0, q, k, v, kq_mask, kq_scale,", "ggml_flash_attn_ext", 2),
	AllocateCache:    passage(kvCache, "llama_kv_cache::llama_kv_cache(", "ggml_tensor * k = ggml_new_tensor_3d(ctx, type_k,", "ggml_new_tensor_3d", 2),
	NameCache:        passage(kvCache, "llama_kv_cache::llama_kv_cache(", `ggml_format_name(k, "cache_k_l%d", il);`, "ggml_format_name", 2),
	StoreK:           passage(kvCache, "llama_kv_cache::cpy_k(", "return ggml_set_rows(ctx, k, k_cur, k_idxs);", "ggml_set_rows", 1),
	StoreV:           passage(kvCache, "llama_kv_cache::cpy_v(", "// in this branch the v_idxs are constructed", "v_idxs", 6),
	ViewK:            passage(kvCache, "llama_kv_cache::get_k(", "return ggml_view_4d(ctx, k,", "ggml_view_4d", 6),
	ViewV:            passage(kvCache, "llama_kv_cache::get_v(", "// note: v->nb[1] > v->nb[2]", "nb[1] > v->nb[2]", 7),
	RowsOfV:          passage(kvCache, "llama_kv_cache::set_input_v_idxs(", "offs + j*kv_size + sinfo.idxs[s][i]", "j*kv_size", 1),
	PadCells:         passage(kvCache, "llama_kv_cache::get_n_kv(", "result = std::max(std::min(cells.size(),", "std::max", 1),
	NextCell:         passage(kvCache, "llama_kv_cache::find_slot(", "uint32_t head_cur = v_heads[seq_to_stream[seq_id]];", "head_cur", 1),
	CellPosition:     passage(kvCache, "llama_kv_cache::apply_ubatch(", "cells.pos_set(idx, ubatch.pos[i]);", "pos_set", 1),
	CausalMask:       passage(kvCache, "llama_kv_cache::set_input_kq_mask(", "const llama_pos p0 = cells.pos_get(j);", "pos_get", 6),
	Positions:        passage(graph, "llm_graph_input_pos::set_input(", "ggml_backend_tensor_set(pos, ubatch->pos, 0,", "ggml_backend_tensor_set", 1),
	NextPosition:     passage(batch, "llama_batch_allocr::init(", "p0[seq_id] = pos[i] + 1;", "p0", 1),
	NeoxArchitecture: rotary("the pairs of head values are offset by n_rot/2", "LLM_ARCH_QWEN2", "return LLAMA_ROPE_TYPE_NEOX;"),
	NormArchitecture: rotary("use what we call a normal RoPE", "LLM_ARCH_LLAMA", "return LLAMA_ROPE_TYPE_NORM;"),
	RopeAngle:        passage(ops, "static void ggml_rope_cache_init(", "float theta = theta_base;", "theta_base", 10),
	RopeKernel:       passage(cuda+"rope.cu", "static __global__ void rope_neox(", "const float theta_base = pos[channel_x]*powf(theta_scale, i0/2.0f);", "theta_base", 14),
	RopeLaunch:       passage(cuda+"rope.cu", "static void rope_neox_cuda(", "const dim3 block_dims(1, CUDA_ROPE_BLOCK_SIZE, 1);", "block_dims", 5),
	FreqBase:         passage(llamaModel, "void llama_model::load_hparams(", "hparams.rope_freq_base_train = 10000.0f;", "rope_freq_base_train", 2),
	LlamaFactors:     passage(llamaGraph, "llm_build_llama::llm_build_llama(", "// rope freq factors for llama3", "rope freq factors", 2),
	Biases:           trail{file: llamaModel, function: []string{"bool llama_model::load_tensors(", "case LLM_ARCH_QWEN2:"}, line: "// optional bias tensors", symbol: "bias", rows: 4},
	RMSEps:           trail{file: llamaModel, function: []string{"void llama_model::load_hparams(", "case LLM_ARCH_QWEN2:"}, line: "ml.get_key(LLM_KV_ATTENTION_LAYERNORM_RMS_EPS, hparams.f_norm_rms_eps)", symbol: "LLM_KV_ATTENTION_LAYERNORM_RMS_EPS", rows: 1},
	SoftMaxMaximum:   passage(ops, "static void ggml_compute_forward_soft_max_f32(", "float max = -INFINITY;", "max", 2),
	SoftMaxKernel:    passage(cuda+"softmax.cu", "static __global__ void soft_max_f32(", "const float val = x[col]*p.scale + (mask ?", "p.scale", 4),
	SoftMaxExp:       passage(cuda+"softmax.cu", "static __global__ void soft_max_f32(", "const float val = expf(vals[col] - max_val);", "expf", 3),
	SoftMaxLaunch:    passage(cuda+"softmax.cu", "static void soft_max_f32_cuda(", "while (nth < ncols_x && nth < CUDA_SOFT_MAX_BLOCK_SIZE) nth *= 2;", "nth", 4),
	Broadcast:        passage(matmul, "static void ggml_compute_forward_mul_mat_one_chunk(", "// broadcast src0 into src1", "broadcast", 3),
	BroadcastKernel:  passage(cuda+"mmvf.cu", "static __global__ void mul_mat_vec_f(", "const int channel_x = ids ? ids[channel_dst]", "channel_ratio", 2),
	BatchedGemm:      passage(cuda+"ggml-cuda.cu", "static void ggml_cuda_mul_mat_batched_cublas_impl(", "cublasGemmBatchedEx(ctx.cublas_handle(), CUBLAS_OP_T, CUBLAS_OP_N,", "cublasGemmBatchedEx", 8),
	Gemm:             passage(cuda+"ggml-cuda.cu", "static void ggml_cuda_op_mul_mat_cublas(", "cublasSgemm(ctx.cublas_handle(id), CUBLAS_OP_T, CUBLAS_OP_N,", "cublasSgemm", 5),
	SetRowsKernel:    passage(cuda+"set-rows.cu", "static __global__ void k_set_rows(", "const int64_t dst_row = *(src1 + i10*s10", "dst_row", 6),
}

// attention is a trail into the build_attn that has a KV cache.
func attention(line, symbol string, rows int) trail {
	return trail{file: graph, function: []string{"llm_graph_context::build_attn(", "llm_graph_input_attn_kv * inp,"}, line: line, symbol: symbol, rows: rows}
}

// mha is a trail into the attention that all models share.
func mha(line, symbol string, rows int) trail {
	t := shared("build_attn_mha", line, symbol)
	t.rows = rows
	return t
}

// rotary is a trail to an architecture in the list of architectures by
// rotation, below a comment, with the rotation that the list returns.
func rotary(comment, architecture, returns string) trail {
	return trail{file: llamaModel, function: []string{"llama_rope_type llama_model_rope_type(", comment},
		line: "case " + architecture + ":", symbol: architecture, rows: 1, then: []piece{{returns, 1}}}
}

// Quote finds an excerpt in these sources.
func (tree Tree) Quote(e Excerpt) (Site, error) {
	s, err := tree.site(passages[e])
	if err != nil {
		return Site{}, fmt.Errorf("excerpt %d: %w", e, err)
	}
	return s, nil
}

// Excerpts returns all of them.
func Excerpts() []Excerpt {
	all := make([]Excerpt, excerpts)
	for i := range all {
		all[i] = Excerpt(i)
	}
	return all
}
