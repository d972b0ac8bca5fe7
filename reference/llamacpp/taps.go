package llamacpp

import "attndiff/traces/tap"

// How a tap is found in llama.cpp's graph; enum ref_match in bridge.h.
type match int

const (
	byName   match = iota // the node of that name and operation
	byWeight              // the node of that operation whose first operand is that weight
	byCache               // the cache tensor itself, not the values written to it
)

// How a node's memory becomes the tap's shape; enum ref_layout in bridge.h.
type layout int

const (
	whole   layout = iota // as it is
	cropped               // rows are padded to a multiple of 256: keep the first C columns
	rows                  // the cache has room for the whole context: keep the first C rows
)

// A node says where llama.cpp keeps a tap. %d stands for the layer.
type node struct {
	tap    tap.Tap
	match  match
	name   string
	op     string // ggml_op_name; empty for any
	layout layout
}

// nodes is the correspondence, in tap order. One name alone would not do:
// llm_build_qwen2 (llama.cpp src/models/qwen2.cpp) calls the projection, the
// biased and the rotated query all Qcur-l, and gives the output projection no
// name at all. A model without biases has no ADD, and a graph with flash
// attention has no kq and no kq_soft_max: those taps are then not recorded.
var nodes = [tap.Count]node{
	{tap.InpEmbd, byName, "inp_embd", "GET_ROWS", whole},
	{tap.AttnNorm, byName, "attn_norm-%d", "MUL", whole},
	{tap.QProj, byName, "Qcur-%d", "MUL_MAT", whole},
	{tap.QBias, byName, "Qcur-%d", "ADD", whole},
	{tap.QRope, byName, "Qcur-%d", "ROPE", whole},
	{tap.KProj, byName, "Kcur-%d", "MUL_MAT", whole},
	{tap.KBias, byName, "Kcur-%d", "ADD", whole},
	{tap.KRope, byName, "Kcur-%d", "ROPE", whole},
	{tap.VProj, byName, "Vcur-%d", "MUL_MAT", whole},
	{tap.VBias, byName, "Vcur-%d", "ADD", whole},
	{tap.KCache, byCache, "cache_k_l%d", "", rows},
	{tap.VCache, byCache, "cache_v_l%d", "", rows},
	{tap.KQ, byName, "kq-%d", "MUL_MAT", cropped},
	{tap.KQSoftMax, byName, "kq_soft_max-%d", "SOFT_MAX", cropped},
	{tap.KQV, byName, "kqv_out-%d", "", whole}, // CONT, or RESHAPE with flash attention
	{tap.AttnOut, byWeight, "blk.%d.attn_output.weight", "MUL_MAT", whole},
	{tap.FFNInp, byName, "ffn_inp-%d", "ADD", whole},
	{tap.FFNNorm, byName, "ffn_norm-%d", "MUL", whole},
	{tap.FFNGate, byName, "ffn_gate-%d", "MUL_MAT", whole},
	{tap.FFNUp, byName, "ffn_up-%d", "MUL_MAT", whole},
	{tap.FFNSwiglu, byName, "ffn_swiglu-%d", "GLU", whole},
	{tap.FFNOut, byName, "ffn_out-%d", "MUL_MAT", whole},
	{tap.LOut, byName, "l_out-%d", "ADD", whole},
	{tap.ResultNorm, byName, "result_norm", "MUL", whole},
	{tap.ResultOutput, byName, "result_output", "MUL_MAT", whole},
}
