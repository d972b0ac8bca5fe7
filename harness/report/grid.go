package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// symbols shows a status in one column.
var symbols = map[verdict.Status]string{
	verdict.OK: "·", verdict.Inherited: "~", verdict.Introduced: "X", verdict.Missing: "-", verdict.NoOracle: "?",
}

// Mark shows a status in one character.
func Mark(s verdict.Status) string { return symbols[s] }

// Worse reports whether a reader must rather see a than b where both share one
// place.
func Worse(a, b verdict.Status) bool { return rank[a] > rank[b] }

// rank orders statuses by that; what was not recorded comes last.
var rank = map[verdict.Status]int{
	verdict.OK: 1, verdict.Missing: 2, verdict.NoOracle: 3, verdict.Inherited: 4, verdict.Introduced: 5,
}

// maxColumns is how many layer columns fit beside the numbers in a terminal
// of 100 columns; more layers share columns.
const maxColumns = 24

// line is one tap over all steps and layers.
type line struct {
	tap   string
	cells []verdict.Status // by layer column; "" where nothing was recorded
	drift Number           // the largest
	worst *Tap             // the recording closest to or furthest beyond its allowance
}

// grid summarises all recordings, one line per tap in execution order. span
// is how many layers share a column.
func (r *Report) grid() (lines []*line, span int) {
	layers := max(1, r.Model.NLayer)
	span = (layers + maxColumns - 1) / maxColumns
	columns := (layers + span - 1) / span
	byTap := map[string]*line{}
	for i := range r.Taps {
		t := &r.Taps[i]
		l := byTap[t.Tap]
		if l == nil {
			l = &line{tap: t.Tap, cells: make([]verdict.Status, columns), drift: Number(math.NaN())}
			byTap[t.Tap] = l
		}
		column := 0
		if t.Layer != nil {
			column = min(*t.Layer/span, columns-1)
		}
		if Worse(t.Status, l.cells[column]) {
			l.cells[column] = t.Status
		}
		if !(t.Drift <= l.drift) && !math.IsNaN(float64(t.Drift)) {
			l.drift = t.Drift
		}
		if l.worst == nil || t.Excess() > l.worst.Excess() {
			l.worst = t
		}
	}
	for _, t := range tap.All() {
		if l := byTap[t.String()]; l != nil {
			lines = append(lines, l)
		}
	}
	return lines, span
}

// Excess is how many times its allowance a recording's error is; a wrong one
// always ranks before one that is not.
func (t *Tap) Excess() float64 {
	x := float64(t.OpOurs)
	if math.IsNaN(x) {
		x = float64(t.Drift)
	}
	x /= float64(t.Allowance)
	switch {
	case t.Status == verdict.Introduced && !(x >= 1):
		return math.Inf(1)
	case math.IsNaN(x):
		return 0
	}
	return x
}

// printGrid prints the summary as a table.
func (r *Report) printGrid(w io.Writer, paint painter) error {
	lines, span := r.grid()
	if span > 1 {
		if _, err := fmt.Fprintf(w, "each column of statuses is %d layers and shows the worst of them\n", span); err != nil {
			return err
		}
	}
	table := tablewriter.NewTable(w, tablewriter.WithRenderer(renderer.NewBlueprint(plainLines)), tablewriter.WithConfig(gridConfig))
	table.Header("tap", header(r.Model.NLayer, span), "drift", "op ours", "op ref", "allowed", "worst at")
	for _, l := range lines {
		var cells strings.Builder
		for _, s := range l.cells {
			if s == "" {
				cells.WriteByte(' ')
			} else {
				cells.WriteString(paint.status(s, symbols[s]))
			}
		}
		t := l.worst
		if err := table.Append(l.tap, cells.String(), l.drift.Amount(), t.OpOurs.Amount(), t.OpRef.Amount(), t.Allowance.Amount(), clip(t.place(), placeWidth)); err != nil {
			return err
		}
	}
	return table.Render()
}

// header marks columns with their layers: each of a few, "012", every fifth of
// many, "0    5    10".
func header(layers, span int) string {
	const digits = "0123456789"
	if layers <= len(digits) {
		return digits[:max(layers, 1)]
	}
	var b strings.Builder
	for l := 0; l < layers; l += 5 * span {
		for b.Len() < l/span {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(l))
	}
	return b.String()
}

// place names a recording and its worst element: "s0 l2 [4 7 11]".
func (t *Tap) place() string {
	var b strings.Builder
	fmt.Fprintf(&b, "s%d", t.Step)
	if t.Layer != nil {
		fmt.Fprintf(&b, " l%d", *t.Layer)
	}
	if len(t.Index) > 0 {
		fmt.Fprintf(&b, " %v", t.Index)
	}
	return b.String()
}

// placeWidth is what is left of 100 columns beside maxColumns statuses.
const placeWidth = 28

// plainLines draws one line under the header and nothing else.
var plainLines = tw.Rendition{
	Borders: tw.Border{Left: tw.Off, Right: tw.Off, Top: tw.Off, Bottom: tw.Off},
	Settings: tw.Settings{
		Separators: tw.Separators{BetweenColumns: tw.Off, BetweenRows: tw.Off},
		Lines:      tw.Lines{ShowHeaderLine: tw.On},
	},
}

var gridConfig = tablewriter.Config{
	Header: tw.CellConfig{
		Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone},
		Alignment:  tw.CellAlignment{PerColumn: columnAlign},
		Padding:    tw.CellPadding{Global: onePad},
	},
	Row: tw.CellConfig{
		Formatting: tw.CellFormatting{AutoWrap: tw.WrapNone},
		Alignment:  tw.CellAlignment{PerColumn: columnAlign},
		Padding:    tw.CellPadding{Global: onePad},
	},
	Behavior: tw.Behavior{TrimSpace: tw.Off},
}

var columnAlign = []tw.Align{
	tw.AlignLeft, tw.AlignLeft, tw.AlignRight, tw.AlignRight, tw.AlignRight, tw.AlignRight, tw.AlignLeft,
}

// onePad separates columns by one space.
var onePad = tw.Padding{Left: "", Right: " ", Overwrite: true}
