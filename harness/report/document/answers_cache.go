package document

import (
	"fmt"
	"strings"

	"attndiff/reference/source"
	"attndiff/traces/execution"
	"attndiff/traces/tap"
)

// allocations are the cache's tensors as the reference tells them, nil when it
// does not.
func (m *material) allocations() []execution.Allocation {
	if g := m.any(); g != nil {
		return g.Cache
	}
	return nil
}

func answerCacheStructure(m *material, p *page) []string {
	all := m.allocations()
	if len(all) < 2 {
		m.untold(p)
		p.block(m.quote(source.AllocateCache))
		return nil
	}
	k, v := all[0], all[1]
	for _, a := range all {
		if a.Name == "cache_v_l0" {
			v = a
		}
	}
	p.para("One K and one V tensor per layer, %d in all: %s is %s %s, %s is %s %s. The first axis is all KV heads of one position together (%d x %d = %d channels), the second the cells, room for %d positions. Beside them llama.cpp keeps, on the host, which position and sequence each cell holds.",
		len(all), code(k.Name), k.Type, shape(k.NE), code(v.Name), v.Type, shape(v.NE), m.hp.NHeadKV, m.hp.HeadDim, k.NE[0], k.NE[1])
	return []string{fmt.Sprintf("%s: ne %s, nb %s", code(k.Name), shape(k.NE), shape(k.NB)), m.at(source.AllocateCache)}
}

func answerCacheLayers(m *material, p *page) []string {
	all := m.allocations()
	if len(all) == 0 {
		m.untold(p)
		p.block(m.quote(source.NameCache))
		return nil
	}
	p.para("By name, not by offset: layer l reads and writes its own tensors `cache_k_l` and `cache_v_l` of that number. No layer offset is computed while the graph runs; every view starts at byte 0 of its layer's tensor.")
	var rows [][]string
	for _, name := range []string{"cache_k_l0", "cache_v_l0"} {
		if view := m.cacheView(0, name); view != nil {
			rows = append(rows, []string{code(name), layout(view), fmt.Sprint(view.View.Offset)})
		}
	}
	p.table([]string{"tensor", "view that layer 0 reads", "byte offset in the tensor"}, rows)
	if own := m.ourLayers(); own != "" {
		p.para("%s", own)
	}
	return []string{m.at(source.NameCache), m.at(source.ViewK), m.judged(tap.KCache)}
}

// ourLayers says where our layers' caches lie, "" when untold.
func (m *material) ourLayers() string {
	l := m.ours.launches[0]
	if l == nil {
		return ""
	}
	var parts []string
	for _, layer := range l.Layers {
		k, v := l.Find(tap.KCache.String(), layer), l.Find(tap.VCache.String(), layer)
		if k != nil && v != nil {
			parts = append(parts, fmt.Sprintf("layer %d at byte %d of %s and %d of %s", layer, k.Out.Offset, code(k.Out.Buffer), v.Out.Offset, code(v.Out.Buffer)))
		}
	}
	if parts == nil {
		return ""
	}
	return "Ours computes an offset into one buffer for K and one for V: " + prose(parts) + "."
}

func answerCacheUpdate(m *material, p *page) []string {
	p.para("Each step writes the rows of its own tokens with `SET_ROWS`, then attention reads the cache as a whole, these rows included. Rows of earlier steps are never touched again.")
	var rows [][]string
	var evidence []string
	for phase, g := range m.phases {
		for _, t := range []tap.Tap{tap.KCache, tap.VCache} {
			n := g.node(t, 0)
			if n == nil {
				continue
			}
			rows = append(rows, []string{phase, code(t.String()), g.operand(g.Source(n, 0)), values(g.Source(n, 1)), g.label(g.Root(n))})
		}
	}
	p.table([]string{"step", "tap", "written", "row numbers (for V without flash attention: element numbers)", "into"}, rows)
	p.block(m.quote(source.CacheThenRead))
	m.both(p, "k cache", "What is stored of a key")
	m.both(p, "v cache", "What is stored of a value")
	return append(evidence, m.at(source.StoreK), m.at(source.StoreV), m.judged(tap.KCache), m.judged(tap.VCache))
}

func answerCacheLayout(m *material, p *page) []string {
	var rows [][]string
	if g := m.any(); g != nil {
		for _, a := range g.Cache {
			if a.Name != "cache_k_l0" && a.Name != "cache_v_l0" {
				continue
			}
			rows = append(rows, []string{code(a.Name) + " as allocated", a.Type, shape(a.NE), "[" + join(a.NB[:3]) + "]"})
			if view := m.cacheView(g.Step, a.Name); view != nil {
				rows = append(rows, []string{code(a.Name) + " as attention sees it", view.Type, shape(view.NE), strides(view)})
			}
		}
	}
	if rows == nil {
		m.untold(p)
		p.block(m.quote(source.ViewK))
		p.block(m.quote(source.ViewV))
		return nil
	}
	p.table([]string{"tensor", "type", "`ne`", "`nb` (bytes)"}, rows)
	p.para("K: position by position, each position all KV heads, each head its dims.%s", m.valueLayoutText())
	if own := m.ourLayout(); own != "" {
		p.para("%s", own)
	}
	return []string{m.at(source.ViewK), m.at(source.ViewV), m.at(source.RowsOfV)}
}

// valueLayoutText says how V lies, from its strides; "" when untold.
func (m *material) valueLayoutText() string {
	view := m.valueView(0)
	if view == nil {
		view = m.valueView(1)
	}
	if view == nil {
		return ""
	}
	if !transposedV(view) {
		return fmt.Sprintf(" V lies like K: its view %s has strides %s, dims innermost (with flash attention the cache is not transposed).", shape(view.NE), strides(view))
	}
	return fmt.Sprintf(" V is stored transposed: its view is [positions, heads, dims] = %s with strides %s, so neighbouring positions of one channel lie side by side, %d bytes apart, and neighbouring dims %d bytes (a whole row of cells).",
		shape(view.NE), strides(view), view.NB[0], view.NB[2])
}

// ourLayout says how our cache lies, "" when untold.
func (m *material) ourLayout() string {
	l := m.ours.launches[0]
	if l == nil {
		return ""
	}
	k, v := l.Find(tap.KCache.String(), 0), l.Find(tap.VCache.String(), 0)
	if k == nil || v == nil {
		return ""
	}
	return fmt.Sprintf("Ours stores both as rows of [position, KV head, dim], row-major: %s %s [%s], %s %s [%s].", code(k.Out.Buffer), k.Out.Type, join(k.Out.Shape), code(v.Out.Buffer), v.Out.Type, join(v.Out.Shape))
}

func answerCacheAllocation(m *material, p *page) []string {
	all := m.allocations()
	if len(all) == 0 {
		m.untold(p)
		p.block(m.quote(source.AllocateCache))
		return nil
	}
	var rows [][]string
	for i, a := range all {
		if len(all) > 8 && i >= 4 && i < len(all)-2 {
			if i == 4 {
				rows = append(rows, []string{fmt.Sprintf("%d more of the same shape", len(all)-6), "", "", ""})
			}
			continue
		}
		rows = append(rows, []string{code(a.Name), a.Type + " " + shape(a.NE), code(a.Buffer), fmt.Sprint(a.Offset)})
	}
	p.para("Per layer, not per head: a tensor per layer and kind, allocated once when the context opens, all in one backend buffer of %d bytes. The heads of a layer share a tensor.", all[0].Bytes)
	p.table([]string{"tensor", "type and `ne`", "buffer", "byte offset"}, rows)
	p.block(m.quote(source.AllocateCache))
	return []string{m.at(source.AllocateCache), fmt.Sprintf("%d cache tensors for %d layers", len(all), m.hp.NLayer)}
}

func answerCachePosition(m *material, p *page) []string {
	p.para("On the host, cell by cell: `find_slot` searches free cells from a head that is moved behind the last cell used, and each cell used remembers the position of its token. The same positions go to RoPE as an input tensor, and the cells' numbers to the write.")
	var rows [][]string
	for phase, g := range m.phases {
		rope, write := g.node(tap.KRope, 0), g.node(tap.KCache, 0)
		if rope == nil || write == nil {
			continue
		}
		rows = append(rows, []string{phase, fmt.Sprint(g.Past), values(g.Source(rope, 1)), values(g.Source(write, 1))})
	}
	p.table([]string{"step", "tokens cached before", "positions given to RoPE", "cells written"}, rows)
	p.block(m.quote(source.CellPosition))
	m.both(p, "position", "In decode")
	return []string{m.at(source.NextCell), m.at(source.CellPosition), m.at(source.Positions), m.trials.evidence("position")}
}

func answerCacheDecode(m *material, p *page) []string {
	g := m.ref.graph[1]
	if g == nil {
		if !m.decodes() {
			p.para("This run decoded nothing (one step); `--steps 8` shows it. From the sources: attention reads a view of the first n_kv cells.")
		} else {
			m.untold(p)
		}
		p.block(m.quote(source.ViewK))
		return []string{m.at(source.PadCells)}
	}
	k, v := m.cacheView(1, "cache_k_l0"), m.cacheView(1, "cache_v_l0")
	if k == nil || v == nil {
		m.untold(p)
		return nil
	}
	cells := k.NE[2]
	p.para("A decode step reads a view of the first n_kv cells from the start of the layer's tensor: K as %s with strides %s, V as %s with strides %s. n_kv is the number of cells in use (%d after this step's write) rounded up, here %d, so that the graph can serve again.",
		shape(k.NE), strides(k), shape(v.NE), strides(v), g.Past+g.Tokens, cells)
	if row := g.maskRow(); row != nil {
		p.para("Cells without a visible token are closed by the mask: in this step's row %d columns are open (0) and %d closed (-inf).", row.Open, row.Closed)
	}
	p.block(m.quote(source.PadCells))
	return []string{m.at(source.ViewK), m.at(source.ViewV), m.judged(tap.KQ), m.trials.evidence("position")}
}

// maskRow is the last row of the mask that attention read, nil when untold.
func (g *graph) maskRow() *execution.Row {
	if g == nil {
		return nil
	}
	for i := range g.Tensors {
		if rows := g.Tensors[i].Rows; len(rows) > 0 && strings.HasPrefix(g.label(&g.Tensors[i]), "the mask") {
			return &rows[len(rows)-1]
		}
	}
	for i := range g.Tensors { // with flash attention the mask is cast on its way
		if rows := g.Tensors[i].Rows; len(rows) > 0 {
			return &rows[len(rows)-1]
		}
	}
	return nil
}

func answerCacheGQA(m *material, p *page) []string {
	width := m.hp.NHeadKV * m.hp.HeadDim
	p.para("None beyond the size: a row holds the %d KV heads (%d values) where multi-head attention would hold %d (%d values), %d times as many. Heads are shared when the scores are computed, not in the cache; a model with as many KV heads as query heads goes through the same code.",
		m.hp.NHeadKV, width, m.hp.NHead, m.hp.NHead*m.hp.HeadDim, m.groups())
	evidence := []string{m.at(source.AllocateCache), m.at(source.Broadcast)}
	if all := m.allocations(); len(all) > 0 {
		evidence = append(evidence, fmt.Sprintf("%s has ne[0] = %d = n_head_kv x head_dim", code(all[0].Name), all[0].NE[0]))
	}
	return evidence
}
