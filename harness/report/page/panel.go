package page

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"attndiff/traces/tap"
)

// panel is one tap of one layer, drawn.
type panel struct {
	tap    tap.Tap
	layer  int
	Title  string
	Note   string // what is missing from it
	Groups []group
	Spread *histogramView
	Heads  []group // attention maps, one per head
	More   int     // heads without one
	Value  *legend // of the attention maps
}

// group is one matrix of both sides and their difference.
type group struct {
	Title      string
	Maps       []picture
	Value      *legend // nil where a legend is shared
	Rows, Cols int
	Row, Col   string // what the axes count
	Dim        int    // columns per head, 0 when there are none
	Error      string // of the worst row, for a caption
	// Where decoding begins, in per cent down and across; 0 where it does not.
	Down, Over float64
}

// picture is one map.
type picture struct {
	Side   string // "ours", "reference" or "difference"
	Label  string // what it shows, in words
	Src    template.URL
	Scale  scale
	Height int // on the page, in pixels
}

// legend explains a scale of values; that of differences is one for the page.
type legend struct {
	Kind  string
	Ticks []tick
	Title string
}

func newLegend(s scale, title string) *legend { return &legend{s.Kind, s.ticks(), title} }

// panel draws what a stack has gathered.
func (st *stack) panel(s *source) panel {
	p := panel{tap: st.tap, layer: st.layer, Note: st.note(), Spread: st.spread.view("differences of " + st.name())}
	if st.layer >= 0 {
		p.Title = fmt.Sprintf("layer %d", st.layer)
	}
	_, width := layout(st.tap, s.dims())
	along := "token"
	if isCache(st.tap) {
		along = "position"
	}
	if h := st.heads; h != nil && len(st.steps) > 0 {
		values := amounts(largestOf(h.ours, h.ref), 3)
		g := group{Title: "head by " + along, Row: "head", Col: along, Rows: h.ours.rows, Cols: h.ours.cols,
			Value: newLegend(values, "root mean square of a row")}
		g.Over = s.decoding(st.tap, h.ours.cols)
		g.Maps = h.pictures(st.name()+", "+g.Title, values)
		p.Groups = append(p.Groups, g)
	}
	if t := st.tokens; t != nil && len(st.steps) > 0 {
		values := t.signed()
		g := group{Title: along + " by channel", Row: along, Col: "channel", Rows: t.ours.rows, Cols: t.ours.cols,
			Value: newLegend(values, "value")}
		if st.heads != nil {
			g.Dim = width
		}
		g.Down = s.decoding(st.tap, t.ours.rows)
		g.Maps = t.pictures(st.name()+", "+g.Title, values)
		p.Groups = append(p.Groups, g)
	}
	st.drawHeads(&p, s)
	return p
}

// drawHeads draws the attention maps, all on one scale.
func (st *stack) drawHeads(p *panel, s *source) {
	if len(st.scores) == 0 || len(st.steps) == 0 {
		return
	}
	values, title := probabilities(st.scores), "probability"
	if st.tap != tap.KQSoftMax {
		values, title = scoreScale(st.scores), "raw score"
	}
	p.Value = newLegend(values, title)
	for head, t := range st.scores {
		if t == nil {
			continue
		}
		name := fmt.Sprintf("%s, head %d", st.name(), head)
		p.Heads = append(p.Heads, group{
			Title: fmt.Sprintf("head %d", head), Row: "token", Col: "position", Rows: t.ours.rows, Cols: t.ours.cols,
			Maps: t.pictures(name, values), Error: st.headError(head),
			Down: s.decoding(st.tap, t.ours.rows),
		})
	}
	p.More = s.dims().H - len(p.Heads)
}

// headError is the worst row of one head, in words.
func (st *stack) headError(head int) string {
	if st.heads == nil || st.one != "" {
		return ""
	}
	worst := float32(-1)
	for _, e := range st.heads.diff.row(head) {
		if !isAbsent(e) && (worst < 0 || beats(e, worst)) {
			worst = e
		}
	}
	switch {
	case worst < 0:
		return ""
	case worst == 0:
		return "equal"
	case worst != worst, magnitude(worst) > math.MaxFloat32:
		return "not finite"
	}
	return "differs by up to " + short(float64(worst))
}

// name is "q_rope, layer 2".
func (st *stack) name() string {
	if st.layer < 0 {
		return st.tap.String()
	}
	return fmt.Sprintf("%s, layer %d", st.tap, st.layer)
}

// note says what is missing.
func (st *stack) note() string {
	var parts []string
	if st.odd {
		parts = append(parts, "Ours recorded another shape than the model calls for; those recordings cannot be laid beside the reference and are not drawn.")
	}
	switch {
	case len(st.steps) == 0 && !st.odd:
		parts = append(parts, "Nothing was recorded in the steps that are drawn.")
	case st.one == "ours":
		parts = append(parts, "The reference did not record it: ours alone is shown.")
	case st.one == "reference":
		parts = append(parts, "Only the reference's recording can be shown.")
	}
	return strings.Join(parts, " ")
}
