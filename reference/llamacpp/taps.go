package llamacpp

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"unsafe"

	"attndiff/traces/tap"
)

// How a tap is found in llama.cpp's graph.
const (
	byName   = C.REF_BY_NAME   // the node of that name and operation
	byWeight = C.REF_BY_WEIGHT // the node of that operation whose first operand is that weight
	byCache  = C.REF_BY_CACHE  // the cache tensor itself, not the values written to it
)

// How a node's memory becomes the tap's shape.
const (
	whole   = C.REF_WHOLE   // as it is
	cropped = C.REF_CROPPED // rows are padded to a multiple of 256: keep the first C columns
	rows    = C.REF_ROWS    // the cache has room for the whole context: keep the first C rows
)

// A node says where llama.cpp keeps a tap. %d stands for the layer.
type node struct {
	tap    tap.Tap
	match  C.int32_t
	name   string
	op     string // ggml_op_name; empty for any
	layout C.int32_t
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
	{tap.ResultOutput, byName, "result_output", "", whole}, // MUL_MAT, or ADD where the head has a bias
}

// cRules copies nodes into C memory, where the bridge may keep pointers to it.
func cRules() []C.ref_rule {
	p := (*C.ref_rule)(C.calloc(C.size_t(len(nodes)), C.sizeof_ref_rule))
	rules := unsafe.Slice(p, len(nodes))
	for i, n := range nodes {
		rules[i] = C.ref_rule{
			match: n.match, name: C.CString(n.name), op: C.CString(n.op),
			per_layer: cBool(n.tap.PerLayer()), layout: n.layout,
		}
	}
	return rules
}

// freeRules frees what cRules made.
func freeRules(rules []C.ref_rule) {
	for _, r := range rules {
		C.free(unsafe.Pointer(r.name))
		C.free(unsafe.Pointer(r.op))
	}
	C.free(unsafe.Pointer(unsafe.SliceData(rules)))
}
