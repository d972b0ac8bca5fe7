package document

import (
	"fmt"
	"math"
	"strings"

	"attndiff/harness/verdict"
	"attndiff/traces/execution"
	"attndiff/traces/tap"
)

// write adds a question's answer, its evidence last.
func (q Question) write(m *material, p *page) {
	var evidence []string
	for _, e := range q.answer(m, p) {
		if e != "" {
			evidence = append(evidence, e)
		}
	}
	if len(evidence) > 0 {
		p.para("_Evidence:_ %s.", strings.Join(evidence, "; "))
	}
}

// untold says that a recording has no graph to answer from, in one sentence.
func (m *material) untold(p *page) {
	p.para("The reference's recording does not tell its graph%s, so shapes and strides are not answered from measurement; the lines quoted are those of llama.cpp's sources.", m.ref.why())
}

// phases yields the graphs there are, with the step's name.
func (m *material) phases(yield func(string, *graph) bool) {
	for step, g := range m.ref.graph {
		if g != nil && !yield(execution.Phases[step], g) {
			return
		}
	}
}

// any is the prefill's graph, else the decode's, else nil.
func (m *material) any() *graph {
	for _, g := range m.phases {
		return g
	}
	return nil
}

// attention is what layer 0's attention multiplies in one step.
type attention struct {
	scores  *execution.Tensor // MUL_MAT of k and q, or FLASH_ATTN_EXT
	q, k, v *execution.Tensor
	sum     *execution.Tensor // MUL_MAT of v and the probabilities, or the same FLASH_ATTN_EXT
}

// attention finds it in a graph, nil where it is not as qwen2 has it.
func (g *graph) attention() *attention {
	if g == nil {
		return nil
	}
	if n := g.find(0, "FLASH_ATTN_EXT", "__fattn__"); n != nil && len(n.Src) >= 3 {
		return &attention{n, g.Source(n, 0), g.Source(n, 1), g.Source(n, 2), n}
	}
	kq, kqv := g.node(tap.KQ, 0), g.find(0, "MUL_MAT", "kqv")
	if kq == nil || kqv == nil {
		return nil
	}
	return &attention{kq, g.Source(kq, 1), g.Source(kq, 0), g.Source(kqv, 0), kqv}
}

// layout is a tensor's shape, strides and type: "f16 [64, 256, 2], strides [2,
// 256, 128] bytes".
func layout(t *execution.Tensor) string {
	return fmt.Sprintf("%s %s, strides %s bytes", t.Type, shape(t.NE), strides(t))
}

// nodeFact is a node as evidence: "node `kq-0` (MUL_MAT) f32 [256, 14, 14]".
func (g *graph) nodeFact(n *execution.Tensor) string {
	if n == nil {
		return ""
	}
	s := fmt.Sprintf("node %s (%s, %s) %s %s", g.label(n), n.Op, execution.Phases[g.Step], n.Type, shape(n.NE))
	if p := params(n); p != "" {
		s += ", " + p
	}
	return s
}

// judged is a tap's worst figure on both sides, as evidence.
func (m *material) judged(t tap.Tap) string {
	worst, _ := m.worst(t)
	if worst == nil || !m.Oracle {
		return ""
	}
	ref, ours := "llama.cpp is off by "+worst.OpRef.String(), "ours by "+amount(worst)
	if math.IsNaN(float64(worst.OpRef)) {
		ref = "llama.cpp did not record it"
	}
	switch {
	case worst.Status == verdict.Missing:
		ours = "ours did not record it"
	case worst.NonFinite > 0:
		ours = "ours is not finite"
	}
	return fmt.Sprintf("worst recording of tap %s in this run: %s, %s", code(t.String()), ref, ours)
}

// heads describes the model's head counts.
func (m *material) heads() string {
	return fmt.Sprintf("%d query heads, %d KV heads, head_dim %d", m.hp.NHead, m.hp.NHeadKV, m.hp.HeadDim)
}

// both shows an experiment.
func (m *material) both(p *page, name, about string) { m.trials.both(p, name, about) }
