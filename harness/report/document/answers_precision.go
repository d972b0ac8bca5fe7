package document

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attndiff/harness/verdict"
	"attndiff/reference/source"
	"attndiff/traces/execution"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

func answerPrecision(m *material, p *page) []string {
	g := m.any()
	a := g.attention()
	if a == nil {
		m.untold(p)
		p.block(m.quote(source.Scores))
		return []string{m.judged(tap.KQ)}
	}
	forced := "not forced"
	if a.scores.Params["prec"] != 0 {
		forced = "forced (GGML_PREC_F32)"
	}
	sum := "not forced"
	if a.sum.Params["prec"] != 0 {
		sum = "forced"
	}
	p.para("Both: K and V are %s and %s in the cache, results are %s. The scores' product has f32 precision %s, the weighted sum's %s. On the CPU a product with an f16 operand rounds the other operand to f16 and sums in f32; on a GPU a product without forced precision may sum in f16.",
		a.k.Type, a.v.Type, a.scores.Type, forced, sum)
	const f32Sums = 1e-11 // far below what rounding an operand to f16 leaves, about 1e-08
	if worst, status := m.worst(tap.KQ); worst != nil && status != verdict.Introduced && float64(worst.OpOurs) < f32Sums {
		p.para("Ours sums in f32 without rounding its operands: %s is off by %s at worst, where an operand rounded to f16 leaves about 1e-08.", code("kq"), amount(worst))
	}
	sums := g.nodeFact(a.sum)
	if a.sum == a.scores {
		sums = ""
	}
	return []string{g.nodeFact(a.scores), sums, m.at(source.Scores), m.judged(tap.KQ), m.judged(tap.KQV)}
}

func answerStability(m *material, p *page) []string {
	p.para("The largest scaled and masked score of a row is subtracted before the exponential, so that no argument exceeds 0; -inf of the mask becomes 0; the sum is inverted once and multiplied.")
	if top, key, ok := m.largestScore(); ok {
		p.para("It is needed: the largest scaled score in this run is %.4g (%s, layer %d, step %d of llama.cpp), where exp overflows f32 from %.1f on.",
			top, code(key.Tap.String()), key.Layer, key.Step, math.Log(math.MaxFloat32))
	}
	if off, key, ok := m.worstRowSum(m.ref); ok {
		p.para("llama.cpp's rows sum to 1 within %.1g (worst in layer %d, step %d).", off, key.Layer, key.Step)
	}
	if off, key, ok := m.worstRowSum(m.ours); ok && math.IsNaN(off) {
		p.para("Ours' rows do not sum to a number (layer %d, step %d).", key.Layer, key.Step)
	} else if ok {
		p.para("Ours' rows sum to 1 within %.1g (worst in layer %d, step %d).", off, key.Layer, key.Step)
	}
	return []string{m.at(source.SoftMaxMaximum), m.at(source.SoftMaxExp), m.judged(tap.KQSoftMax)}
}

// mostRead bounds the recordings of scores that are read for one figure.
const mostRead = 1 << 22

// scan reads the recordings of a tap of a side, steps 0 and 1, as long as they
// are small enough.
func scan(s *side, t tap.Tap, each func(k tap.Key, info trace.Info, v []float64)) {
	for _, k := range s.Keys() {
		if k.Tap != t || k.Step > 1 {
			continue
		}
		info, _ := s.Info(k)
		if tap.Elements(info.Shape) > mostRead || len(info.Shape) == 0 {
			continue
		}
		if v, err := s.Float64(k, nil); err == nil {
			each(k, info, v)
		}
	}
}

// largestScore is the largest scaled score that a softmax of llama.cpp met.
func (m *material) largestScore() (top float64, at tap.Key, ok bool) {
	scale := 1 / math.Sqrt(float64(m.hp.HeadDim))
	scan(m.ref, tap.KQ, func(k tap.Key, _ trace.Info, v []float64) {
		for _, x := range v {
			if x *= scale; !ok || x > top {
				top, at, ok = x, k, true
			}
		}
	})
	return top, at, ok
}

// worstRowSum is how far a side's probabilities are from summing to 1.
func (m *material) worstRowSum(s *side) (off float64, at tap.Key, ok bool) {
	scan(s, tap.KQSoftMax, func(k tap.Key, info trace.Info, v []float64) {
		width := info.Shape[len(info.Shape)-1]
		for row := 0; width > 0 && row+width <= len(v); row += width {
			sum := 0.0
			for _, x := range v[row : row+width] {
				sum += x
			}
			if d := math.Abs(sum - 1); !ok || !(d <= off) && !math.IsNaN(off) {
				off, at, ok = d, k, true
			}
		}
	})
	return off, at, ok
}

func answerNormalization(m *material, p *page) []string {
	if m.any() == nil {
		m.untold(p)
		return []string{m.trials.evidence("norm")}
	}
	p.para("Scores are scaled by 1/sqrt(head_dim) inside `SOFT_MAX`. Two RMSNorms per layer, before attention and before the feed-forward block (%s), and one before the head.%s", prose(m.normed()), m.rescaling())
	m.both(p, "norm", "The norm")
	return []string{"operations in the graph: " + code(m.operations()), m.trials.evidence("norm")}
}

// operations lists the kinds of ops that the graph has.
func (m *material) operations() string {
	seen := map[string]bool{}
	list := ""
	for i := range m.any().Tensors {
		if op := m.any().Tensors[i].Op; op != "" && !seen[op] {
			if seen[op] = true; list != "" {
				list += " "
			}
			list += op
		}
	}
	return list
}

// rescaling says whether any op of the graph caps, clamps or scales.
func (m *material) rescaling() string {
	var found []string
	for _, op := range []string{"SCALE", "TANH", "CLAMP", "SOFTCAP", "NORM", "L2_NORM"} {
		if slices.Contains(strings.Fields(m.operations()), op) {
			found = append(found, code(op))
		}
	}
	if found == nil {
		return " No op caps, clamps or rescales: no soft cap on scores or logits, no factor on embeddings or on the residual stream."
	}
	return " Besides, the graph has " + prose(found) + "."
}

func answerTypes(m *material, p *page) []string {
	var rows [][]string
	for _, t := range tap.All() {
		ref, ours, operands := "-", "-", "-"
		layer := 0
		if !t.PerLayer() {
			layer = tap.NoLayer
		}
		k := tap.At(0, layer, t)
		if info, ok := m.ref.Info(k); ok {
			ref = string(info.DType)
		}
		if info, ok := m.ours.Info(k); ok {
			ours = string(info.DType)
		}
		if g := m.any(); g.node(t, 0) != nil {
			n := g.node(t, 0)
			operands = ""
			for i := range n.Src {
				if operands != "" {
					operands += ", "
				}
				operands += g.Source(n, i).Type
			}
		}
		own := ""
		if worst, _ := m.worst(t); worst != nil && m.Oracle {
			own = fmt.Sprintf("%s / %s", measure(worst.OpRef), amount(worst))
		}
		rows = append(rows, []string{code(t.String()), operands, ref, ours, own})
	}
	header := []string{"tap", "llama.cpp's operands", "llama.cpp's result", "ours' result", "off by, llama.cpp / ours"}
	if !m.Oracle {
		header, rows = header[:4], dropLast(rows)
	}
	p.table(header, rows)
	p.para("The last column of a tap is its worst recording. An f16 operand shows as about 1e-08 (the square of its rounding), f32 alone as about 1e-14.")
	return []string{"dtypes of both traces, operand types of the captured graph"}
}

func dropLast(rows [][]string) [][]string {
	for i := range rows {
		rows[i] = rows[i][:len(rows[i])-1]
	}
	return rows
}

func answerSoftmaxCode(m *material, p *page) []string {
	p.para("llama.cpp on the CPU:")
	p.block(m.quote(source.SoftMaxMaximum))
	p.para("llama.cpp on a GPU, one block per row, the maximum and the sum reduced over the block:")
	p.block(m.quote(source.SoftMaxKernel))
	p.block(m.quote(source.SoftMaxExp))
	m.ourPlaces(p, tap.KQSoftMax)
	return []string{m.at(source.SoftMaxMaximum), m.at(source.SoftMaxKernel), m.judged(tap.KQSoftMax)}
}

func answerScaling(m *material, p *page) []string {
	want := 1 / math.Sqrt(float64(m.hp.HeadDim))
	if n := m.scaled(); n != nil {
		p.para("scale = %.7g in llama.cpp's %s, which is 1/sqrt(%d). It is applied once.", n.Params["scale"], code(n.Op), m.hp.HeadDim)
	} else {
		p.para("The factor is 1/sqrt(%d) = %.7g.", m.hp.HeadDim, want)
	}
	own := m.ourArg(tap.KQSoftMax, "scale")
	if own == nil { // fused
		own = m.ourArg(tap.KQV, "scale")
	}
	if own != nil {
		same := "the same"
		if float32(own.Number) != float32(want) {
			same = "**another**"
		}
		p.para("Ours passes scale = %.7g: %s.", own.Number, same)
	}
	m.both(p, "scale", "What the recordings say")
	return []string{m.at(source.ScoreScale), m.trials.evidence("scale")}
}

// scaled is the node that holds the score factor.
func (m *material) scaled() *execution.Tensor {
	g := m.any()
	if n := g.node(tap.KQSoftMax, 0); n != nil {
		return n
	}
	if a := g.attention(); a != nil && a.scores.Params["scale"] != 0 {
		return a.scores
	}
	return nil
}

func answerClipping(m *material, p *page) []string {
	if m.any() == nil {
		m.untold(p)
		return nil
	}
	p.para("This is inference: there are no gradients.%s The kinds of operations in the graph are %s.", m.rescaling(), code(m.operations()))
	return []string{"every `op` of the captured graph", m.at(source.Probabilities)}
}
