package page

import (
	"fmt"
	"math"
	"slices"

	"attndiff/harness/report"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// mapColumns is how many columns of layers the map has at most; more layers
// share columns.
const mapColumns = 32

// layerMap is every tap at every layer, each cell the worst of all steps.
type layerMap struct {
	Span    int // layers per column
	Columns []string
	Rows    []mapRow
	Legend  []status // those there are
	Inks    []ink
}

// ink is an error and its shade, for a legend.
type ink struct {
	Shade int
	Label string
}

// status explains one status.
type status struct {
	Status verdict.Status
	Mark   string
	Text   string
}

// mapRow is one tap; a tap that exists once per step has one cell across all
// columns.
type mapRow struct {
	Tap   string
	Wide  bool
	Cells []cell
}

// cell is the worst recording of its tap and layers.
type cell struct {
	Status verdict.Status // "" where nothing was recorded
	Mark   string
	Shade  int // per cent
	Title  string
}

// newLayerMap summarises the report's recordings; nil when there are none.
func newLayerMap(r *report.Report) *layerMap {
	if len(r.Taps) == 0 {
		return nil
	}
	layers := max(r.Model.NLayer, 1)
	m := &layerMap{Span: (layers + mapColumns - 1) / mapColumns}
	for l := 0; l < layers; l += m.Span {
		name := fmt.Sprint(l)
		if last := min(l+m.Span, layers) - 1; last > l {
			name = fmt.Sprintf("%d-%d", l, last)
		}
		m.Columns = append(m.Columns, name)
	}
	worst := map[string][]*report.Tap{}
	for i := range r.Taps {
		t := &r.Taps[i]
		row := worst[t.Tap]
		if row == nil {
			row = make([]*report.Tap, len(m.Columns))
			worst[t.Tap] = row
		}
		at := 0
		if t.Layer != nil {
			at = min(*t.Layer/m.Span, len(row)-1)
		}
		if worse(t, row[at]) {
			row[at] = t
		}
	}
	for _, t := range tap.All() {
		row, ok := worst[t.String()]
		if !ok {
			continue
		}
		out := mapRow{Tap: t.String(), Wide: !t.PerLayer()}
		if out.Wide {
			row = row[:1]
		}
		for _, w := range row {
			out.Cells = append(out.Cells, newCell(w))
		}
		m.Rows = append(m.Rows, out)
	}
	for _, l := range verdict.Legend {
		if slices.ContainsFunc(r.Taps, func(t report.Tap) bool { return t.Status == l.Status }) {
			m.Legend = append(m.Legend, status{l.Status, report.Mark(l.Status), l.Text})
		}
	}
	for d := -15; d <= 0; d += 5 {
		e := math.Pow(10, float64(d))
		m.Inks = append(m.Inks, ink{shade(e), short(e)})
	}
	return m
}

// worse reports whether a rather than b stands for a cell: by status, then by
// the error that its shade shows.
func worse(a, b *report.Tap) bool {
	if b == nil || a.Status != b.Status {
		return b == nil || report.Worse(a.Status, b.Status)
	}
	x, y := shown(a), shown(b)
	return !math.IsNaN(y) && !(x <= y)
}

// shown is the error that a recording's shade stands for: the op's own where
// it is wrong, else the drift.
func shown(t *report.Tap) float64 {
	if e := float64(t.OpOurs); t.Status == verdict.Introduced && !math.IsNaN(e) {
		return e
	}
	return float64(t.Drift)
}

// Errors, NMSE, at which a cell has no ink and all of it.
const (
	shadeNone = 1e-15
	shadeFull = 1.0
)

// shade is the ink of an error, in per cent; a NaN has all.
func shade(e float64) int {
	switch {
	case math.IsNaN(e):
		return 100
	case e <= shadeNone:
		return 0
	}
	return int(100 * min(1, math.Log(e/shadeNone)/math.Log(shadeFull/shadeNone)))
}

func newCell(t *report.Tap) cell {
	if t == nil {
		return cell{}
	}
	c := cell{Status: t.Status, Mark: report.Mark(t.Status), Shade: shade(shown(t))}
	if t.Status == verdict.Missing {
		c.Shade = 0
	}
	c.Title = fmt.Sprintf("%s, %s: %s, drift %s, op error %s, allowed %s", t.Tap, place(t), t.Status,
		t.Drift.Amount(), t.OpOurs.Amount(), t.Allowance.Amount())
	return c
}
