package document

import (
	"fmt"
	"slices"
	"strings"

	"attndiff/reference/source"
	"attndiff/traces/execution"
	"attndiff/traces/tap"
)

func answerShapes(m *material, p *page) []string {
	var rows [][]string
	d := m.hp.Dims()
	d.T = m.dims(0).T
	for _, t := range tap.All() {
		row := []string{code(t.String()), cell(m.ref.graph[0], t), cell(m.ref.graph[1], t), recordedShape(m.ours, 0, t)}
		if m.decodes() {
			row = append(row, recordedShape(m.ours, 1, t))
		}
		rows = append(rows, row)
	}
	header := []string{"tap", "llama.cpp `ne`, prefill", "llama.cpp `ne`, decode", "ours, prefill"}
	if m.decodes() {
		header = append(header, "ours, decode")
	}
	p.para("llama.cpp's shapes as its graph has them (innermost axis first), ours as recorded (row-major, outermost axis first). A cache's `ne` is the whole allocation; a step reads the part that 2.4 tells.")
	p.table(header, rows)
	return []string{"the nodes of both captured graphs and the tensors of both traces, layer 0"}
}

// cell is the shape of the node that makes a tap in layer 0.
func cell(g *graph, t tap.Tap) string {
	n := g.node(t, 0)
	if n == nil {
		return "-"
	}
	if t == tap.KCache || t == tap.VCache {
		n = g.Root(n)
	}
	return shape(n.NE)
}

// recordedShape is a tap's shape in a trace, by layer 0.
func recordedShape(s *side, step int, t tap.Tap) string {
	layer := 0
	if !t.PerLayer() {
		layer = tap.NoLayer
	}
	info, ok := s.Info(tap.At(step, layer, t))
	if !ok {
		return "-"
	}
	return strings.ReplaceAll(fmt.Sprint(info.Shape), " ", ", ")
}

func answerGemms(m *material, p *page) []string {
	p.para("llama.cpp: `ggml_mul_mat(A, B)` always contracts the innermost axes of both, which is A^T B in column-major terms. Its cuBLAS calls therefore pass `CUBLAS_OP_T, CUBLAS_OP_N` throughout: for projections, and in batches for the scores and the weighted sum, where V is stored transposed so that the same call does.")
	p.block(m.quote(source.Gemm))
	p.block(m.quote(source.BatchedGemm))
	if m.gemms() != nil {
		var odd []string
		for _, x := range m.audit {
			if x.what == "op(A)" || x.what == "op(B)" {
				odd = append(odd, fmt.Sprintf("%s for %s of %s", code(x.got), x.what, code(x.tap.String())))
			}
		}
		if odd == nil {
			p.para("Ours passes the same flags for every projection.")
		} else {
			p.para("Ours passes the same flags, **but for** %s.", prose(odd))
		}
	}
	m.both(p, "weight", "K's weight")
	return []string{m.at(source.Gemm), m.at(source.BatchedGemm), m.trials.evidence("weight")}
}

// gemms are ours' products of layer 0, nil when untold.
func (m *material) gemms() []execution.Op {
	var list []execution.Op
	for _, l := range m.ours.launches {
		if l == nil {
			continue
		}
		for _, op := range l.List {
			if op.Gemm != nil && op.Layer <= 0 {
				list = append(list, op)
			}
		}
		return list
	}
	return nil
}

func answerMajor(m *material, p *page) []string {
	p.para("ggml's axis 0 is the innermost: a weight of `ne` [in, out] is row-major [out, in], an activation [channels, tokens] row-major [tokens, channels]. cuBLAS calls the same bytes column-major [in, out] and [channels, tokens]. So both words fit the same memory; what counts is that a row of tokens or of a weight is contiguous.")
	if g := m.any(); g != nil {
		var odd []string
		for i := range g.Tensors {
			if t := &g.Tensors[i]; t.Layer <= 0 && t.NE[0] > 1 && t.NB[0] > t.NB[1] && t.NE[1] > 1 && !slices.Contains(odd, code(t.Name)) {
				odd = append(odd, code(t.Name))
			}
		}
		if odd == nil {
			p.para("No tensor of layer 0 has an axis 0 that is not its innermost in memory; V's transposition is in what the axes mean (positions innermost), not in a transposed view.")
		} else {
			p.para("Views of layer 0 whose axis 0 is not the innermost in memory: %s.", prose(odd))
		}
	}
	return []string{m.at(source.ViewV), "strides `nb` of every node, under 5.4"}
}

func answerInputShapes(m *material, p *page) []string {
	g := m.any()
	if g == nil {
		m.untold(p)
		return nil
	}
	var rows [][]string
	for _, n := range attentionNodes(g) {
		name := g.label(n)
		if t, ok := g.made[n]; ok {
			name = code(t.String())
		}
		var in []string
		for i := range n.Src {
			src := g.Source(n, i)
			in = append(in, fmt.Sprintf("%s %s %s", g.label(g.Root(src)), src.Type, shape(src.NE)))
		}
		rows = append(rows, []string{name, code(n.Op), strings.Join(in, "; "), n.Type + " " + shape(n.NE)})
	}
	p.table([]string{"result", "op", "operands as the op sees them", "result's `ne`"}, rows)
	return []string{fmt.Sprintf("the captured graph of the %s, layer 0", execution.Phases[g.Step])}
}

func answerFlags(m *material, p *page) []string {
	list := m.gemms()
	if list == nil {
		p.para("Ours does not tell its products in this trace. llama.cpp passes `CUBLAS_OP_T` for the weight and `CUBLAS_OP_N` for the activations.")
		return []string{m.at(source.Gemm)}
	}
	var rows [][]string
	for _, op := range list {
		g := op.Gemm
		theirs := "-"
		t, _ := tap.Parse(op.Tap)
		if n := m.any().node(t, 0); n != nil {
			theirs = fmt.Sprintf("T, N; A %s, B %s", shape(m.any().Source(n, 0).NE), shape(m.any().Source(n, 1).NE))
		}
		rows = append(rows, []string{code(op.Tap), flag(g.TransA), flag(g.TransB), code(g.A.Buffer) + " " + g.A.Type, code(g.B.Buffer), theirs, m.faulty(t)})
	}
	p.table([]string{"projection", "ours op(A)", "ours op(B)", "A", "B", "llama.cpp's `MUL_MAT`", "differs in"}, rows)
	p.para("Scores and the weighted sum are products of our own kernels, without cuBLAS: %s and %s.", m.kernelOf(tap.KQ), m.kernelOf(tap.KQV))
	return []string{m.at(source.Gemm), m.trials.evidence("weight")}
}

// flag is one letter of a cuBLAS flag.
func flag(t bool) string { return transposed(t)[len("CUBLAS_OP_"):] }

// faulty lists what ours passes to a tap's call where the model calls for
// something else; "nothing" is the good news.
func (m *material) faulty(t tap.Tap) string {
	var list []string
	for _, x := range m.audit {
		if x.tap == t {
			list = append(list, fmt.Sprintf("%s: %s instead of %s", text(x.what), code(x.got), code(x.want)))
		}
	}
	if list == nil {
		return "nothing"
	}
	return strings.Join(list, "; ")
}

// kernelOf names the kernel that computes a tap.
func (m *material) kernelOf(t tap.Tap) string {
	for _, l := range m.ours.launches {
		if l == nil {
			continue
		}
		if op := l.Find(t.String(), 0); op != nil && op.Launch != nil {
			return code(op.Launch.Kernel)
		}
	}
	return "none"
}

func answerLeading(m *material, p *page) []string {
	var rows [][]string
	for _, op := range m.gemms() {
		g := op.Gemm
		t, _ := tap.Parse(op.Tap)
		theirs := "-"
		if n := m.any().node(t, 0); n != nil {
			a, b := m.any().Source(n, 0), m.any().Source(n, 1)
			theirs = fmt.Sprintf("%d, %d, %d", lead(a), lead(b), lead(n))
		}
		rows = append(rows, []string{code(op.Tap), fmt.Sprintf("%d, %d, %d", g.M, g.N, g.K), fmt.Sprintf("%d, %d, %d", g.A.Ld, g.B.Ld, g.C.Ld), theirs})
	}
	if rows != nil {
		p.table([]string{"projection", "ours m, n, k", "ours lda, ldb, ldc", "llama.cpp, nb[1] in elements of A, B, C"}, rows)
		p.para("cuBLAS's leading dimension is the distance of two columns in elements, which is ggml's nb[1] divided by the size of an element (of a quantised type: of the row's elements). m = out, n = tokens, k = in.")
	} else {
		p.para("Ours does not tell its products in this trace.")
	}
	if a := m.any().attention(); a != nil {
		p.para("Of the attention's products llama.cpp's leading dimensions are, in elements: K %d, Q %d, V %d; batches lie nb[2] apart: K %d, Q %d, V %d bytes.",
			lead(a.k), lead(a.q), lead(a.v), a.k.NB[2], a.q.NB[2], a.v.NB[2])
	}
	return []string{m.at(source.Gemm), m.at(source.BatchedGemm)}
}

// lead is the distance of two rows in elements. For a block format it is the
// row's length.
func lead(t *execution.Tensor) int64 {
	size, ok := map[string]int64{"f32": 4, "f16": 2, "bf16": 2, "i32": 4, "i64": 8}[t.Type]
	if !ok {
		return t.NE[0]
	}
	return t.NB[1] / size
}

func answerAssumptions(m *material, p *page) []string {
	var rows [][]string
	if g := m.any(); g != nil {
		for i := range g.Tensors {
			n := &g.Tensors[i]
			if n.Op == "" || n.Layer != 0 {
				continue
			}
			made := ""
			if t, ok := g.made[n]; ok {
				made = code(t.String())
			}
			rows = append(rows, []string{g.label(n), code(n.Op), made, n.Type, shape(n.NE), strides(n)})
			if t, ok := g.made[n]; ok && t == tap.FFNInp {
				break
			}
		}
		p.para("Every node of layer 0's attention with its strides, views included (%s):", execution.Phases[g.Step])
		p.table([]string{"node", "op", "tap", "type", "`ne`", "`nb` (bytes)"}, rows)
	} else {
		m.untold(p)
	}
	p.para("ggml assumes rows that are contiguous (nb[0] is the size of an element) in what it multiplies; heads and positions may be strided, which is what permuted views use. Ours assumes contiguous row-major tensors everywhere: [tokens, heads, dims] for Q, K, V and the attention's output, [heads, tokens, positions] for scores and probabilities.")
	return []string{m.at(source.PermuteHeads), m.at(source.ViewK), m.at(source.ViewV)}
}
