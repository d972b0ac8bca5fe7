package document

import (
	"fmt"
	"slices"
	"strings"

	"attndiff/harness/verdict"
	"attndiff/reference/source"
	"attndiff/traces/execution"
	"attndiff/traces/tap"
)

// orderDifference compares the order of ops.
func orderDifference(m *material) string {
	g, l := m.ref.graph[0], m.ours.launches[0]
	if g == nil || l == nil {
		return ""
	}
	var theirs, own []string
	for _, n := range attentionNodes(g) {
		if t, ok := g.made[n]; ok && t.PerLayer() {
			theirs = append(theirs, t.String())
		}
	}
	for _, op := range l.List {
		if op.Layer == 0 && slices.Contains(theirs, op.Tap) {
			own = append(own, op.Tap)
		}
	}
	if slices.Equal(theirs, own) {
		return ""
	}
	for len(theirs) > 0 && len(own) > 0 && theirs[0] == own[0] {
		theirs, own = theirs[1:], own[1:]
	}
	for len(theirs) > 0 && len(own) > 0 && theirs[len(theirs)-1] == own[len(own)-1] {
		theirs, own = theirs[:len(theirs)-1], own[:len(own)-1]
	}
	s := fmt.Sprintf("Order: llama.cpp runs %s where ours runs %s.", code(strings.Join(theirs, " ")), code(strings.Join(own, " ")))
	if readsAhead(theirs) || readsAhead(own) {
		return s + " One of them reads what comes after it in that order."
	}
	return s + " No op reads one that comes after it in either order, so this changes nothing."
}

// readsAhead reports whether an op of a list reads one that comes later in it.
func readsAhead(order []string) bool {
	for i, name := range order {
		t, err := tap.Parse(name)
		if err != nil {
			continue
		}
		for _, from := range operands[t] {
			if slices.Index(order, from.String()) > i {
				return true
			}
		}
	}
	return false
}

// valueLayout compares how both keep V.
func valueLayout(m *material) string {
	g, l := m.ref.graph[0], m.ours.launches[0]
	read := m.valueView(0)
	if g == nil || read == nil || l == nil {
		return ""
	}
	op := l.Find(tap.VCache.String(), 0)
	if op == nil {
		return ""
	}
	if !transposedV(read) {
		return ""
	}
	how := fmt.Sprintf("transposed, positions innermost (view %s, strides %s)", shape(read.NE), strides(read))
	return fmt.Sprintf("V cache: llama.cpp keeps it %s; ours keeps rows of [KV head, dim] per position ([%s], %s). %s", how, join(op.Out.Shape), op.Out.Type, m.harmless(tap.VCache, tap.KQV))
}

// valueView is how the weighted sum of layer 0 looks at the V cache in a step:
// the view of the cache before it is permuted.
func (m *material) valueView(step int) *execution.Tensor { return m.cacheView(step, "cache_v_l0") }

// cacheView is the view of a cache tensor that attention reads in a step.
func (m *material) cacheView(step int, name string) *execution.Tensor {
	g := m.ref.graph[step]
	if g == nil {
		return nil
	}
	for i := range g.Tensors {
		n := &g.Tensors[i]
		if n.Op == "VIEW" && g.Root(n).Name == name {
			return n
		}
	}
	return nil
}

// transposedV reports whether a view of the V cache has its positions
// innermost: get_v gives [n_kv, n_head_kv, head_dim] then.
func transposedV(view *execution.Tensor) bool { return view.NB[1] > view.NB[2] }

// harmless says that ops on both sides of a difference are right, with their
// figures, or that they are not.
func (m *material) harmless(taps ...tap.Tap) string {
	var parts []string
	for _, t := range taps {
		worst, status := m.worst(t)
		if worst == nil || status == verdict.Missing || status == verdict.NoOracle {
			continue
		}
		if status == verdict.Introduced {
			return fmt.Sprintf("The layout itself is no mistake; %s is wrong for another reason, see above.", code(t.String()))
		}
		if amount(worst) == "0" {
			parts = append(parts, code(t.String())+" is exact")
		} else {
			parts = append(parts, fmt.Sprintf("%s is off by %s (allowed %s)", code(t.String()), amount(worst), worst.Allowance))
		}
	}
	if len(parts) == 0 {
		return "This run does not judge it."
	}
	return "Harmless: on ours " + prose(parts) + "."
}

// cacheSize compares how much room both give the cache.
func cacheSize(m *material) string {
	g, l := m.ref.graph[0], m.ours.launches[0]
	if g == nil || l == nil || len(g.Cache) == 0 {
		return ""
	}
	first, second := l.Find(tap.KCache.String(), 0), l.Find(tap.KCache.String(), 1)
	if first == nil || second == nil {
		return ""
	}
	row := int(g.Cache[0].NE[0]) * map[string]int{"F16": 2, "F32": 4}[first.Out.Type]
	if row == 0 {
		return ""
	}
	return fmt.Sprintf("Cache allocation: llama.cpp has a tensor per layer (%s of %s %s); ours has one buffer for K and one for V, layers %d bytes apart, which is room for %d positions. The rows of a layer are the same.",
		code(g.Cache[0].Name), g.Cache[0].Type, shape(g.Cache[0].NE), second.Out.Offset-first.Out.Offset, (second.Out.Offset-first.Out.Offset)/row)
}

// paddedColumns compares the width of a row of scores.
func paddedColumns(m *material) string {
	g := m.ref.graph[0]
	kq := g.node(tap.KQ, 0)
	if kq == nil || int(kq.NE[0]) == m.dims(0).C() || !recorded(m.ours, tap.At(0, 0, tap.KQ)) {
		return ""
	}
	return fmt.Sprintf("Columns of scores: llama.cpp computes %d, the cells in use rounded up (%s), and masks those without a token; ours computes the C = %d there are. The surplus columns are 0 after the softmax.",
		kq.NE[0], m.at(source.PadCells), m.dims(0).C())
}

// operandTypes compares what enters the products.
func operandTypes(m *material) string {
	worst, status := m.worst(tap.QProj)
	g := m.ref.graph[0]
	n := g.node(tap.QProj, 0)
	if worst == nil || n == nil || status == verdict.NoOracle || status == verdict.Missing || !m.Oracle {
		return ""
	}
	w := g.Source(n, 0)
	if w.Type == "f32" {
		return ""
	}
	return fmt.Sprintf("Precision of products: with weights of type %s llama.cpp's CPU kernels round the activations to that type's partner first, which leaves %s on %s; ours multiplies f32 activations, and is off by %s.",
		w.Type, worst.OpRef, code("q_proj"), amount(worst))
}

// fusedScale compares where the scale and the mask are applied.
func fusedScale(m *material) string {
	if m.flash() {
		return "llama.cpp ran its fused attention in this run: it has no tensor of scores or probabilities, so " + code("kq") + " and " + code("kq_soft_max") + " of ours have no counterpart. " + m.harmless(tap.KQV)
	}
	return ""
}

// headBatch compares how heads are batched.
func headBatch(m *material) string {
	l := m.ours.launches[0]
	kq := m.ref.graph[0].node(tap.KQ, 0)
	if l == nil || kq == nil {
		return ""
	}
	op := l.Find(tap.KQ.String(), 0)
	if op == nil || op.Launch == nil {
		return ""
	}
	k := m.ref.graph[0].Source(kq, 0)
	return fmt.Sprintf("Scores: llama.cpp runs one batched %s of K %s and Q over %d heads, each KV head shared by %d; ours runs its own kernel %s, one block per tile and head. %s",
		code("MUL_MAT"), shape(k.NE), kq.NE[2], m.groups(), code(op.Launch.Kernel), m.harmless(tap.KQ))
}

// finalRows tells of the rows that llama.cpp picks in the last layer.
func finalRows(m *material) string {
	g := m.ref.graph[0]
	if g == nil || m.ours.launches[0] == nil {
		return ""
	}
	last := m.hp.NLayer - 1
	for i := range g.Tensors {
		n := &g.Tensors[i]
		if n.Op == "GET_ROWS" && n.Layer == last {
			rows := g.Source(n, 1)
			return fmt.Sprintf("Last layer: llama.cpp picks the rows whose logits are wanted before its feed-forward block (%s, here %s of %d); it is asked for all of them when it is recorded, so nothing is left out. Ours always computes all.",
				code("GET_ROWS"), plural(int(elements(rows.NE)), "row"), g.Tokens)
		}
	}
	return ""
}
