package source

import "attndiff/traces/tap"

// Files of the module that call for ops.
const (
	qwen2    = "llama/llama.cpp/src/models/qwen2.cpp"
	graph    = "llama/llama.cpp/src/llama-graph.cpp"
	kvCache  = "llama/llama.cpp/src/llama-kv-cache.cpp"
	sampling = "llama/llama.cpp/src/llama-sampling.cpp"
)

// entry is where one tap is called for and computed.
type entry struct {
	graph trail
	by    computation
}

// model is a trail to a line of llm_build_qwen2.
func model(line, symbol string) trail {
	return trail{file: qwen2, function: []string{"llm_build_qwen2::llm_build_qwen2("}, line: line, symbol: symbol}
}

// shared is a trail to a line of llm_graph_context, which all models share.
func shared(function, line, symbol string) trail {
	return trail{file: graph, function: []string{"llm_graph_context::" + function + "("}, line: line, symbol: symbol}
}

// greedy is the choice from the last row of logits, which no tap records.
var greedy = onCPU(sampling, "static void llama_sampler_greedy_apply(", "llama_sampler_greedy_apply", "cur_p->selected = 0;", 6)

// entries says where each tap is.
var entries = map[tap.Tap]entry{
	tap.InpEmbd:   {shared("build_inp_embd", "cur = ggml_get_rows(ctx0, tok_embd, inp->tokens)", "ggml_get_rows"), lookUp},
	tap.AttnNorm:  {model("cur = build_norm(inpL,", "build_norm"), norm},
	tap.QProj:     {model("Qcur = build_lora_mm(model.layers[il].wq, cur)", "build_lora_mm"), product},
	tap.QBias:     {model("Qcur = ggml_add(ctx0, Qcur, model.layers[il].bq)", "ggml_add"), bias},
	tap.QRope:     {rope("Qcur"), rotation},
	tap.KProj:     {model("Kcur = build_lora_mm(model.layers[il].wk, cur)", "build_lora_mm"), product},
	tap.KBias:     {model("Kcur = ggml_add(ctx0, Kcur, model.layers[il].bk)", "ggml_add"), bias},
	tap.KRope:     {rope("Kcur"), rotation},
	tap.VProj:     {model("Vcur = build_lora_mm(model.layers[il].wv, cur)", "build_lora_mm"), product},
	tap.VBias:     {model("Vcur = ggml_add(ctx0, Vcur, model.layers[il].bv)", "ggml_add"), bias},
	tap.KCache:    {cache("llama_kv_cache::cpy_k", "return ggml_set_rows(ctx, k, k_cur, k_idxs)"), storeK},
	tap.VCache:    {cache("llama_kv_cache::cpy_v", "return ggml_set_rows(ctx, v_view, v_cur, v_idxs)"), storeV},
	tap.KQ:        {shared("build_attn_mha", "kq = ggml_mul_mat(ctx0, k, q)", "ggml_mul_mat"), scores},
	tap.KQSoftMax: {shared("build_attn_mha", "kq = ggml_soft_max_ext(ctx0, kq, kq_mask, kq_scale,", "ggml_soft_max_ext"), softMax},
	tap.KQV:       {shared("build_attn_mha", "kqv = ggml_mul_mat(ctx0, v, kq)", "ggml_mul_mat"), weightedSum},
	tap.AttnOut: {trail{file: graph, function: []string{"llm_graph_context::build_attn(", "llm_graph_input_attn_kv * inp,"},
		line: "cur = build_lora_mm(wo, cur)", symbol: "build_lora_mm"}, product},
	tap.FFNInp:       {model("ffn_inp = ggml_add(ctx0, cur, inpSA)", "ggml_add"), residual},
	tap.FFNNorm:      {model("cur = build_norm(ffn_inp,", "build_norm"), norm},
	tap.FFNGate:      {shared("build_ffn", "cur = build_lora_mm(gate, cur)", "build_lora_mm"), product},
	tap.FFNUp:        {shared("build_ffn", "up ? build_lora_mm(up, cur)", "build_lora_mm"), product},
	tap.FFNSwiglu:    {shared("build_ffn", "cur = ggml_swiglu_split(ctx0, cur, tmp)", "ggml_swiglu_split"), gatedUnit},
	tap.FFNOut:       {shared("build_ffn", "cur = build_lora_mm(down, cur)", "build_lora_mm"), product},
	tap.LOut:         {model("cur = ggml_add(ctx0, cur, ffn_inp)", "ggml_add"), residual},
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
