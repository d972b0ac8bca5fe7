package document

import (
	"fmt"
	"slices"
	"strings"

	"attndiff/traces/execution"
	"attndiff/traces/tap"
)

// graph is llama.cpp's graph of a step, with the tap that each node makes.
type graph struct {
	*execution.Graph
	made map[*execution.Tensor]tap.Tap
}

// newGraph finds the nodes that make taps. Nodes are known by what they read,
// as llama.cpp gives one name to several (llm_build_qwen2,
// src/models/qwen2.cpp).
func newGraph(g *execution.Graph) *graph {
	out := &graph{g, map[*execution.Tensor]tap.Tap{}}
	seen := map[tap.Key]bool{}
	for i := range g.Tensors {
		n := &g.Tensors[i]
		if n.Op == "" {
			continue
		}
		for _, t := range tap.All() {
			layer := n.Layer
			if !t.PerLayer() {
				layer = tap.NoLayer
			}
			if at := tap.At(g.Step, layer, t); !seen[at] && t.PerLayer() == (n.Layer >= 0) && out.computes(n, t) {
				seen[at], out.made[n] = true, t
				break
			}
		}
	}
	return out
}

// node returns the node that makes a tap of a layer, nil when there is none or
// no graph.
func (g *graph) node(t tap.Tap, layer int) *execution.Tensor {
	if g == nil {
		return nil
	}
	for n, made := range g.made {
		if made == t && (n.Layer == layer || !t.PerLayer()) {
			return n
		}
	}
	return nil
}

// computes reports whether a node is the one that makes a tap.
func (g *graph) computes(n *execution.Tensor, t tap.Tap) bool {
	layer := n.Layer
	named := func(name, op string) bool { return n.Op == op && n.Name == fmt.Sprintf("%s-%d", name, layer) }
	reads := func(op string, operand int, name string) bool {
		src := g.Source(n, operand)
		return n.Op == op && src != nil && src.Name == fmt.Sprintf("blk.%d.%s", layer, name)
	}
	if name, ok := weights[t]; ok {
		return reads("MUL_MAT", 0, name)
	}
	switch t {
	case tap.InpEmbd:
		return n.Op == "GET_ROWS" && n.Name == "inp_embd"
	case tap.AttnNorm, tap.FFNNorm:
		return reads("MUL", 1, vectors[t])
	case tap.QBias, tap.KBias, tap.VBias:
		return reads("ADD", 1, vectors[t])
	case tap.QRope:
		return named("Qcur", "ROPE")
	case tap.KRope:
		return named("Kcur", "ROPE")
	case tap.KCache:
		return n.Op == "SET_ROWS" && g.Root(n).Name == fmt.Sprintf("cache_k_l%d", layer)
	case tap.VCache:
		return n.Op == "SET_ROWS" && g.Root(n).Name == fmt.Sprintf("cache_v_l%d", layer)
	case tap.KQ:
		return named("kq", "MUL_MAT")
	case tap.KQSoftMax:
		return named("kq_soft_max", "SOFT_MAX")
	case tap.KQV:
		return named("kqv_out", n.Op)
	case tap.FFNInp:
		return named("ffn_inp", "ADD")
	case tap.FFNSwiglu:
		return n.Name == fmt.Sprintf("ffn_swiglu-%d", layer)
	case tap.LOut:
		return named("l_out", "ADD")
	case tap.ResultNorm:
		return n.Name == "result_norm"
	case tap.ResultOutput:
		return n.Name == "result_output"
	}
	return false
}

// find returns the first node of a layer with that operation and name, nil
// when there is none or no graph.
func (g *graph) find(layer int, op, name string) *execution.Tensor {
	if g == nil {
		return nil
	}
	for i := range g.Tensors {
		if n := &g.Tensors[i]; n.Layer == layer && n.Op == op && n.Name == fmt.Sprintf("%s-%d", name, layer) {
			return n
		}
	}
	return nil
}

// views are operations that compute nothing: another look at the same memory.
var views = []string{"VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE"}

func isView(n *execution.Tensor) bool { return slices.Contains(views, n.Op) }

// shape spells sizes or strides the way ggml counts them, innermost first,
// without the ones at the end.
func shape(sizes [4]int64) string {
	n := len(sizes)
	for n > 1 && sizes[n-1] == 1 {
		n--
	}
	return "[" + join(sizes[:n]) + "]"
}

// strides spells as many strides as the shape has axes.
func strides(t *execution.Tensor) string {
	n := strings.Count(shape(t.NE), ",") + 1
	return "[" + join(t.NB[:n]) + "]"
}

func join[T any](list []T) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = fmt.Sprint(v)
	}
	return strings.Join(parts, ", ")
}

// label names a tensor for a reader: graph inputs have no name of their own in
// llama.cpp.
func (g *graph) label(t *execution.Tensor) string {
	if !strings.HasPrefix(t.Name, "leaf_") && !strings.HasPrefix(t.Name, "node_") && !strings.HasPrefix(t.Name, " (") {
		return code(t.Name)
	}
	if of, ok := g.made[t]; ok {
		return code(of.String())
	}
	for i := range g.Tensors {
		n := &g.Tensors[i]
		for j := range n.Src {
			if g.Source(n, j) != t {
				continue
			}
			switch {
			case n.Op == "ROPE":
				return "the positions"
			case n.Op == "SET_ROWS" && strings.HasPrefix(g.Root(n).Name, "cache_k"):
				return "the rows of K to write"
			case n.Op == "SET_ROWS":
				return "the elements of V to write"
			case n.Op == "SOFT_MAX" || n.Op == "FLASH_ATTN_EXT":
				return "the mask"
			case n.Op == "GET_ROWS" && n.Name == "inp_embd":
				return "the token ids"
			case n.Op == "GET_ROWS":
				return "the rows whose logits are wanted"
			}
		}
	}
	return code(t.Name)
}

// operand says what a node reads: a tensor, or a look at one with its shape.
func (g *graph) operand(t *execution.Tensor) string {
	if !isView(t) {
		return g.label(t)
	}
	root := g.Root(t)
	if t.NE == root.NE {
		return g.label(root)
	}
	return fmt.Sprintf("%s seen as %s", g.label(root), shape(t.NE))
}

// params spells a node's parameters in a fixed order, those that say nothing
// left out.
func params(n *execution.Tensor) string {
	var parts []string
	for _, name := range []string{"scale", "max_bias", "eps", "n_dims", "mode", "freq_base", "freq_scale", "ext_factor", "attn_factor", "logit_softcap", "prec"} {
		v, ok := n.Params[name]
		switch {
		case !ok || name == "prec" && v == 0:
		case name == "prec":
			parts = append(parts, "prec = GGML_PREC_F32")
		default:
			parts = append(parts, fmt.Sprintf("%s = %.7g", name, v))
		}
	}
	return strings.Join(parts, ", ")
}
