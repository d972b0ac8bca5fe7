package llamacpp

// #include "bridge.h"
import "C"

import (
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"unsafe"

	"attndiff/traces/execution"
	"attndiff/traces/half"
)

// graph is what a step's graph was, as the bridge gave it: telling it takes as
// long as a few steps on a GPU, so that is left for when it is asked for.
type graph struct {
	step, tokens, past int
	nodes              []C.ref_node
	inputs             map[int]execution.Tensor // by node: what inputs held
}

// Notes describe the steps recorded last: the graphs of step 0 and step 1.
func (e *Engine) Notes() (execution.Notes, error) {
	notes := execution.Notes{}
	for _, g := range e.graphs {
		if err := notes.PutGraph(g.tell().Keep(slices.Compact([]int{0, e.h.NLayer - 1}))); err != nil {
			return nil, err
		}
	}
	return notes, nil
}

// describeNext has the bridge keep the graph of a step that is recorded, if it
// is one of those that notes tell of.
func (e *Engine) describeNext(step int, recorded bool) bool {
	on := recorded && step < len(execution.Phases)
	C.ref_describe(e.c, cBool(on))
	if on && step == 0 {
		e.graphs = nil
	}
	return on
}

// describe keeps the graph of the step that has just run. past is what the
// cache held before it.
func (e *Engine) describe(step, tokens, past int) error {
	var first *C.ref_node
	n := C.ref_graph(e.c, &first)
	if n == 0 {
		return fmt.Errorf("step %d: llama.cpp's graph was not kept", step)
	}
	g := graph{step, tokens, past, slices.Clone(unsafe.Slice(first, int(n))), map[int]execution.Tensor{}}
	for i := range g.nodes {
		if g.nodes[i].input == 0 {
			continue
		}
		t := tensor(&g.nodes[i])
		if err := e.readInput(i, tokens, &t); err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
		g.inputs[i] = t
	}
	e.graphs = append(e.graphs, g)
	return nil
}

// tell converts the graph.
func (g graph) tell() *execution.Graph {
	told := &execution.Graph{Step: g.step, Tokens: g.tokens, Past: g.past}
	for i := range g.nodes {
		node := &g.nodes[i]
		t, ok := g.inputs[i]
		if !ok {
			t = tensor(node)
		}
		if t.Op != "" {
			told.Nodes++
		}
		told.Tensors = append(told.Tensors, t)
		if cacheName.MatchString(t.Name) && t.Op == "" {
			told.Cache = append(told.Cache, execution.Allocation{Name: t.Name, Type: t.Type, NE: t.NE, NB: t.NB,
				Buffer: C.GoString(node.buffer), Offset: int64(node.buffer_offset), Bytes: int64(node.buffer_bytes)})
		}
	}
	assignLayers(told.Tensors)
	return told
}

// tensor converts one node.
func tensor(n *C.ref_node) execution.Tensor {
	t := execution.Tensor{Name: C.GoString(&n.name[0]), Type: C.GoString(n._type), Layer: -1}
	if n.op != nil {
		t.Op = C.GoString(n.op)
	}
	for i := range t.NE {
		t.NE[i], t.NB[i] = int64(n.ne[i]), int64(n.nb[i])
	}
	for _, s := range n.src[:n.n_src] {
		t.Src = append(t.Src, int(s))
	}
	if n.view_of >= 0 {
		t.View = &execution.View{Of: int(n.view_of), Offset: int64(n.view_offset)}
	}
	for _, p := range opParams[t.Op] {
		if t.Params == nil {
			t.Params = map[string]float64{}
		}
		raw := int32(n.params[p.slot])
		t.Params[p.name] = float64(raw)
		if p.float {
			t.Params[p.name] = float64(math.Float32frombits(uint32(raw)))
		}
	}
	return t
}

// param is one number among an op's op_params, which ggml.c's constructors
// fill in.
type param struct {
	name  string
	slot  int
	float bool
}

// opParams are the parameters worth telling, by op: ggml_rope_impl,
// ggml_soft_max_impl, ggml_rms_norm_impl, ggml_mul_mat_set_prec,
// ggml_flash_attn_ext, ggml_permute (ggml.c).
var opParams = map[string][]param{
	"ROPE": {
		{"n_dims", 1, false}, {"mode", 2, false}, {"n_ctx_orig", 4, false}, {"freq_base", 5, true}, {"freq_scale", 6, true},
		{"ext_factor", 7, true}, {"attn_factor", 8, true}, {"beta_fast", 9, true}, {"beta_slow", 10, true},
	},
	"SOFT_MAX":       {{"scale", 0, true}, {"max_bias", 1, true}},
	"RMS_NORM":       {{"eps", 0, true}},
	"MUL_MAT":        {{"prec", 0, false}},
	"FLASH_ATTN_EXT": {{"scale", 0, true}, {"max_bias", 1, true}, {"logit_softcap", 2, true}, {"prec", 3, false}},
	"PERMUTE":        {{"axis0", 0, false}, {"axis1", 1, false}, {"axis2", 2, false}, {"axis3", 3, false}},
}

var (
	cacheName = regexp.MustCompile(`^cache_[kv]_l(\d+)$`)
	// layerName finds the layer in the name of a node ("Qcur-3", "Qcur-3
	// (reshaped)"), a weight ("blk.3.attn_q.weight") or a cache ("cache_k_l3").
	layerName = regexp.MustCompile(`^(?:blk\.(\d+)\.|cache_[kv]_l(\d+)|[A-Za-z_]+-(\d+)(?: \(|$))`)
)

// layerOf is the layer that a tensor's name tells, -1 for none.
func layerOf(name string) int {
	m := layerName.FindStringSubmatch(name)
	for _, digits := range m[min(1, len(m)):] {
		if n, err := strconv.Atoi(digits); err == nil {
			return n
		}
	}
	return -1
}

// assignLayers says which layer each node belongs to: the one that its own
// name or an operand's name tells, else that of what it reads. Nodes of the
// head read the last layer's output and have names of their own.
func assignLayers(list []execution.Tensor) {
	for i := range list {
		t := &list[i]
		t.Layer = layerOf(t.Name)
		for _, s := range t.Src {
			// a leaf of a layer names it; a node may be of the layer before
			if t.Layer < 0 && list[s].Op == "" {
				t.Layer = layerOf(list[s].Name)
			}
		}
		for _, s := range t.Src {
			if t.Layer < 0 && list[s].Op != "" && !outside(t.Name) {
				t.Layer = list[s].Layer
			}
		}
	}
}

// outside reports whether a node is one of the head's, which come after the
// layers (llm_build_qwen2, src/models/qwen2.cpp).
func outside(name string) bool {
	return name == "norm" || name == "result_norm" || name == "result_output"
}

// toldValues is how many elements of an input are told: the first ones and, of
// more than there is room for, the last one.
const toldValues = 8

// readInput adds what an input of a step of so many tokens held when it ran:
// elements of whole numbers (positions, rows of the cache), open columns of a
// mask.
func (e *Engine) readInput(node, tokens int, t *execution.Tensor) error {
	var r reading
	if C.ref_graph_input(e.c, C.int32_t(node), &r.tensor, &r.why) != 0 {
		return fmt.Errorf("reading %s: %s", t.Name, C.GoString(&r.why.text[0]))
	}
	at, size := decoder(t.Type)
	if r.tensor.data == nil || at == nil {
		return nil
	}
	raw := unsafe.Slice((*byte)(r.tensor.data), int(r.tensor.bytes))
	if t.Type == "f32" || t.Type == "f16" {
		// Some backends have masks padded to a multiple of rows.
		for _, row := range slices.Compact([]int{0, min(tokens, int(t.NE[1])) - 1}) {
			t.Rows = append(t.Rows, countOpen(raw, row, int(t.NE[0]), size, at))
		}
		return nil
	}
	count := len(raw) / size
	for i := range min(count, toldValues) {
		if i == toldValues-1 {
			i = count - 1
		}
		t.Values = append(t.Values, at(raw[i*size:]))
	}
	return nil
}

// countOpen counts the columns of a mask's row that let through.
func countOpen(raw []byte, row, columns, size int, at func([]byte) float64) execution.Row {
	r := execution.Row{Index: row}
	for c := range columns {
		if math.IsInf(at(raw[(row*columns+c)*size:]), -1) {
			r.Closed++
		} else {
			r.Open++
		}
	}
	return r
}

// decoder reads one element of ggml's little-endian types; nil for a type that
// inputs do not have.
func decoder(ggmlType string) (at func([]byte) float64, size int) {
	switch ggmlType {
	case "i32":
		return func(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) }, 4
	case "i64":
		return func(b []byte) float64 { return float64(int64(binary.LittleEndian.Uint64(b))) }, 8
	case "f32":
		return func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }, 4
	case "f16":
		return func(b []byte) float64 { return float64(half.FromF16(binary.LittleEndian.Uint16(b))) }, 2
	}
	return nil, 1
}
