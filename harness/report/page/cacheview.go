package page

import (
	"fmt"
)

// cacheView is one cache's differences, drawn.
type cacheView struct {
	Tap, Meaning string
	Step         int
	Whole        group
	ByStep       []group
}

// view draws the maps.
func (m *cacheMap) view(s *source) cacheView {
	v := cacheView{Tap: m.tap.String(), Meaning: m.tap.Meaning(), Step: s.last()}
	v.Whole = group{Title: "all layers and heads", Row: "layer and head", Col: "position", Rows: m.whole.rows, Cols: m.whole.cols,
		Dim: len(m.rows) / max(m.layers(), 1)}
	v.Whole.Maps = only(m.whole, m.tap.String()+", layer and head by position")
	for _, one := range m.byOne {
		for head, g := range one.head {
			title := fmt.Sprintf("layer %d, head %d", one.layer, head)
			v.ByStep = append(v.ByStep, group{Title: title, Row: "step", Col: "position", Rows: g.rows, Cols: g.cols,
				Maps: only(g, m.tap.String()+", "+title+", step by position")})
		}
	}
	return v
}

// layers is how many layers the whole map has.
func (m *cacheMap) layers() int {
	n, last := 0, -1
	for _, r := range m.rows {
		if r.Layer != last {
			n, last = n+1, r.Layer
		}
	}
	return n
}

// only draws a map of differences by itself.
func only(g *grid, what string) []picture {
	if g.empty() {
		return nil
	}
	return []picture{{Side: "difference", Src: g.draw(relative, palettes()[relative.Kind]), Scale: relative,
		Label: what + ", difference: " + g.words(), Height: min(max(10*g.height, 24), 260)}}
}
