package execution

import (
	"fmt"
	"slices"
)

// Graph is the ggml graph of one step as llama.cpp built it.
type Graph struct {
	Step   int   `json:"step"`
	Tokens int   `json:"tokens"` // of this step
	Past   int   `json:"past"`   // in the cache before it
	Nodes  int   `json:"nodes"`  // of the whole graph, those left out included
	Layers []int `json:"layers"` // whose nodes are here; nodes outside layers always are

	// Tensors are nodes in execution order, each leaf (weight, cache, input)
	// before the first node that reads it.
	Tensors []Tensor `json:"tensors"`
	// Cache are the KV cache's tensors of every layer.
	Cache []Allocation `json:"cache"`
}

// Tensor is one tensor of a graph, as struct ggml_tensor has it (ggml.h).
type Tensor struct {
	Name   string             `json:"name"`
	Op     string             `json:"op,omitempty"` // ggml_op_desc; "" for a leaf
	Type   string             `json:"type"`         // ggml_type_name
	NE     [4]int64           `json:"ne"`           // elements per axis, the innermost first
	NB     [4]int64           `json:"nb"`           // stride per axis in bytes
	Layer  int                `json:"layer"`        // -1 outside layers
	Src    []int              `json:"src,omitempty"`
	View   *View              `json:"view,omitempty"`
	Params map[string]float64 `json:"params,omitempty"` // of the op, by ggml's names
	Values []float64          `json:"values,omitempty"` // what an input held: its first elements and, of more than eight, the last one
	Rows   []Row              `json:"rows,omitempty"`   // of a mask: its first and its last row
}

// View says whose memory a tensor is.
type View struct {
	Of     int   `json:"of"`
	Offset int64 `json:"offset"` // bytes
}

// Row is one row of a mask: how many columns it leaves open (0) and closes
// (-inf).
type Row struct {
	Index  int `json:"index"`
	Open   int `json:"open"`
	Closed int `json:"closed"`
}

// Allocation is where a tensor of the KV cache lies.
type Allocation struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	NE     [4]int64 `json:"ne"`
	NB     [4]int64 `json:"nb"`
	Buffer string   `json:"buffer"` // ggml_backend_buffer_name
	Offset int64    `json:"offset"` // of the tensor in the buffer, in bytes
	Bytes  int64    `json:"bytes"`  // of the whole buffer
}

// Source returns operand i of a tensor, nil when it has none.
func (g *Graph) Source(t *Tensor, i int) *Tensor {
	if i >= len(t.Src) {
		return nil
	}
	return &g.Tensors[t.Src[i]]
}

// Root returns the tensor whose memory t is: itself unless it is a view.
func (g *Graph) Root(t *Tensor) *Tensor {
	for t.View != nil {
		t = &g.Tensors[t.View.Of]
	}
	return t
}

// Transposed reports whether a tensor's rows are not its memory's rows.
func (t *Tensor) Transposed() bool { return t.NB[0] > t.NB[1] }

// check reports what would lead a reader astray: indices outside the list and
// views that go in circles.
func (g *Graph) check() error {
	for i, t := range g.Tensors {
		for _, s := range t.Src {
			if s < 0 || s >= len(g.Tensors) {
				return fmt.Errorf("tensor %d (%s) reads tensor %d of %d", i, t.Name, s, len(g.Tensors))
			}
		}
		if t.View != nil && (t.View.Of < 0 || t.View.Of >= i) {
			return fmt.Errorf("tensor %d (%s) views tensor %d, which is not before it", i, t.Name, t.View.Of)
		}
	}
	return nil
}

// Keep returns the graph with the nodes of some layers and what they read;
// nodes outside layers stay. Of a layer that is left out, the node that a kept
// one reads stays without its own operands.
func (g *Graph) Keep(layers []int) *Graph {
	ours := func(t *Tensor) bool { return t.Op != "" && (t.Layer < 0 || slices.Contains(layers, t.Layer)) }
	wanted := make([]bool, len(g.Tensors))
	for i := range g.Tensors {
		t := &g.Tensors[i]
		if !ours(t) {
			continue
		}
		wanted[i] = true
		for _, s := range t.Src {
			wanted[s] = true
		}
		if t.View != nil {
			wanted[t.View.Of] = true
		}
	}
	kept := *g
	kept.Layers, kept.Tensors = layers, nil
	place := map[int]int{}
	for i, t := range g.Tensors {
		if !wanted[i] {
			continue
		}
		place[i] = len(kept.Tensors)
		if !ours(&t) {
			t.Src, t.View = nil, nil // what it was made of is left out
		}
		t.Src = slices.Clone(t.Src)
		for j, s := range t.Src {
			t.Src[j] = place[s]
		}
		if t.View != nil {
			t.View = &View{place[t.View.Of], t.View.Offset}
		}
		kept.Tensors = append(kept.Tensors, t)
	}
	return &kept
}
