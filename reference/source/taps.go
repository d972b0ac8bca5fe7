package source

import "attndiff/traces/tap"

// Files of the module.
const (
	qwen2    = "llama/llama.cpp/src/models/qwen2.cpp"
	graph    = "llama/llama.cpp/src/llama-graph.cpp"
	kvCache  = "llama/llama.cpp/src/llama-kv-cache.cpp"
	ops      = "ml/backend/ggml/ggml/src/ggml-cpu/ops.cpp"
	binary   = "ml/backend/ggml/ggml/src/ggml-cpu/binary-ops.cpp"
	matmul   = "ml/backend/ggml/ggml/src/ggml-cpu/ggml-cpu.c"
	sampling = "llama/llama.cpp/src/llama-sampling.cpp"
	vec      = "ml/backend/ggml/ggml/src/ggml-cpu/vec.cpp"
)

// entry is where one tap is called for and computed.
type entry struct{ graph, arithmetic trail }

// model is a trail to a line of llm_build_qwen2.
func model(line, symbol string) trail {
	return trail{file: qwen2, function: []string{"llm_build_qwen2::llm_build_qwen2("}, line: line, symbol: symbol}
}

// shared is a trail to a line of llm_graph_context, which all models share.
func shared(function, line, symbol string) trail {
	return trail{file: graph, function: []string{"llm_graph_context::" + function + "("}, line: line, symbol: symbol}
}

// kernel is a trail to a function, with the lines that tell what it does.
func kernel(file, head, symbol, shows string, rows int) trail {
	return trail{file: file, function: []string{head}, symbol: symbol, shows: shows, rows: rows}
}

// The arithmetic on the CPU; the GPU backends compute the same.
var (
	addition = kernel(binary, "static inline float op_add(float a, float b)", "op_add", "return a + b", 1)
	norm     = kernel(ops, "static void ggml_compute_forward_rms_norm_f32(", "ggml_compute_forward_rms_norm_f32",
		"1.0f/sqrtf(mean + eps)", 1)
	rotation = kernel(ops, "static void ggml_compute_forward_rope_flt(", "ggml_compute_forward_rope_flt",
		"case GGML_ROPE_TYPE_NEOX:", 4)
	product = kernel(matmul, "static void ggml_compute_forward_mul_mat_one_chunk(", "ggml_compute_forward_mul_mat_one_chunk",
		"vec_dot(ne00, &tmp[ir0 - iir0]", 0)
	// grouped is product where query heads share a key/value head.
	grouped = kernel(matmul, "static void ggml_compute_forward_mul_mat_one_chunk(", "ggml_compute_forward_mul_mat_one_chunk",
		"broadcast src0 into src1", 3)
	softMax = kernel(ops, "static void ggml_compute_forward_soft_max_f32(", "ggml_compute_forward_soft_max_f32",
		"ggml_vec_scale_f32(ne00, wp, scale)", 1)
	lookUp = kernel(ops, "void ggml_compute_forward_get_rows(", "ggml_compute_forward_get_rows", "switch (src0->type)", 1)
	swiglu = kernel(vec, "void ggml_vec_swiglu_f32(", "ggml_vec_swiglu_f32", "y[i] = ggml_silu_f32(x[i]) * g[i]", 1)
	// The caches are written by row number; what numbers there are says where.
	rowsOfK = kernel(kvCache, "llama_kv_cache::set_input_k_idxs(", "set_input_k_idxs", "data[s*sinfo.size() + i] =", 1)
	rowsOfV = kernel(kvCache, "llama_kv_cache::set_input_v_idxs(", "set_input_v_idxs", "offs + j*kv_size + sinfo.idxs[s][i]", 1)
)

// greedy is the choice from the last row of logits, which no tap records.
var greedy = kernel(sampling, "static void llama_sampler_greedy_apply(", "llama_sampler_greedy_apply", "cur_p->selected = 0;", 6)

// entries says where each tap is.
var entries = map[tap.Tap]entry{
	tap.InpEmbd:   {shared("build_inp_embd", "cur = ggml_get_rows(ctx0, tok_embd, inp->tokens)", "ggml_get_rows"), lookUp},
	tap.AttnNorm:  {model("cur = build_norm(inpL,", "build_norm"), norm},
	tap.QProj:     {model("Qcur = build_lora_mm(model.layers[il].wq, cur)", "build_lora_mm"), product},
	tap.QBias:     {model("Qcur = ggml_add(ctx0, Qcur, model.layers[il].bq)", "ggml_add"), addition},
	tap.QRope:     {rope("Qcur"), rotation},
	tap.KProj:     {model("Kcur = build_lora_mm(model.layers[il].wk, cur)", "build_lora_mm"), product},
	tap.KBias:     {model("Kcur = ggml_add(ctx0, Kcur, model.layers[il].bk)", "ggml_add"), addition},
	tap.KRope:     {rope("Kcur"), rotation},
	tap.VProj:     {model("Vcur = build_lora_mm(model.layers[il].wv, cur)", "build_lora_mm"), product},
	tap.VBias:     {model("Vcur = ggml_add(ctx0, Vcur, model.layers[il].bv)", "ggml_add"), addition},
	tap.KCache:    {cache("llama_kv_cache::cpy_k", "return ggml_set_rows(ctx, k, k_cur, k_idxs)"), rowsOfK},
	tap.VCache:    {cache("llama_kv_cache::cpy_v", "return ggml_set_rows(ctx, v_view, v_cur, v_idxs)"), rowsOfV},
	tap.KQ:        {shared("build_attn_mha", "kq = ggml_mul_mat(ctx0, k, q)", "ggml_mul_mat"), grouped},
	tap.KQSoftMax: {shared("build_attn_mha", "kq = ggml_soft_max_ext(ctx0, kq, kq_mask, kq_scale,", "ggml_soft_max_ext"), softMax},
	tap.KQV:       {shared("build_attn_mha", "kqv = ggml_mul_mat(ctx0, v, kq)", "ggml_mul_mat"), grouped},
	tap.AttnOut: {trail{file: graph, function: []string{"llm_graph_context::build_attn(", "llm_graph_input_attn_kv * inp,"},
		line: "cur = build_lora_mm(wo, cur)", symbol: "build_lora_mm"}, product},
	tap.FFNInp:       {model("ffn_inp = ggml_add(ctx0, cur, inpSA)", "ggml_add"), addition},
	tap.FFNNorm:      {model("cur = build_norm(ffn_inp,", "build_norm"), norm},
	tap.FFNGate:      {shared("build_ffn", "cur = build_lora_mm(gate, cur)", "build_lora_mm"), product},
	tap.FFNUp:        {shared("build_ffn", "up ? build_lora_mm(up, cur)", "build_lora_mm"), product},
	tap.FFNSwiglu:    {shared("build_ffn", "cur = ggml_swiglu_split(ctx0, cur, tmp)", "ggml_swiglu_split"), swiglu},
	tap.FFNOut:       {shared("build_ffn", "cur = build_lora_mm(down, cur)", "build_lora_mm"), product},
	tap.LOut:         {model("cur = ggml_add(ctx0, cur, ffn_inp)", "ggml_add"), addition},
	tap.ResultNorm:   {model("cur = build_norm(cur,", "build_norm"), norm},
	tap.ResultOutput: {model("cur = build_lora_mm(model.output, cur)", "build_lora_mm"), product},
}

// rope is the rotation of one of the projections; the arguments follow on the
// next lines.
func rope(projection string) trail {
	return model(projection+" = ggml_rope_ext(", "ggml_rope_ext")
}

// cache is a function that stores rows, with the line that does.
func cache(function, stores string) trail {
	return trail{file: kvCache, function: []string{"ggml_tensor * " + function + "("}, symbol: function, shows: stores, rows: 1}
}
