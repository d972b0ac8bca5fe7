package page

import (
	"fmt"
	"math"
	"strconv"

	"attndiff/harness/report"
	"attndiff/traces/tap"
)

// What the page's script is told at most.
const (
	dataRecordings = 4000
	dataTokens     = 4096
)

// data is what the page's script works with: colours to read values back from
// pictures, and the judgement of each step. The page is whole without it.
type data struct {
	Palettes map[string][]string `json:"palettes"` // colours by level
	Steps    []int               `json:"steps"`    // that pictures cover
	First    []int               `json:"first"`    // row of each one's first token
	Tokens   []string            `json:"tokens"`   // by row
	Span     int                 `json:"span"`     // layers per column of the map
	Taps     []string            `json:"taps"`
	Status   []string            `json:"status"`
	Marks    []string            `json:"marks"`
	// Rows of step, layer, tap, status, shade in per cent, drift, op error and
	// allowance.
	Recordings [][8]report.Number `json:"recordings"`
	Cut        bool               `json:"cut"` // some steps are left out
}

func newData(r *report.Report) *data {
	d := &data{Palettes: map[string][]string{}, Tokens: []string{}, Steps: []int{}, First: []int{},
		Recordings: [][8]report.Number{}}
	for kind, palette := range palettes() {
		for _, c := range palette[indexLevel0:] {
			red, green, blue, _ := c.RGBA()
			d.Palettes[kind] = append(d.Palettes[kind], fmt.Sprintf("%02x%02x%02x", red>>8, green>>8, blue>>8))
		}
	}
	for _, t := range tap.All() {
		d.Taps = append(d.Taps, t.String())
	}
	if m := newLayerMap(r); m != nil {
		d.Span = m.Span
		for _, l := range m.Legend {
			d.Status, d.Marks = append(d.Status, string(l.Status)), append(d.Marks, l.Mark)
		}
	}
	d.record(r)
	return d
}

// record adds the judgements, whole steps of them.
func (d *data) record(r *report.Report) {
	status := map[string]int{}
	for i, s := range d.Status {
		status[s] = i
	}
	for from := 0; from < len(r.Taps); {
		to := from
		for to < len(r.Taps) && r.Taps[to].Step == r.Taps[from].Step {
			to++
		}
		if len(d.Recordings)+to-from > dataRecordings {
			d.Cut = true
			return
		}
		for i := from; i < to; i++ {
			t := &r.Taps[i]
			of, err := tap.Parse(t.Tap)
			if err != nil {
				continue
			}
			layer := tap.NoLayer
			if t.Layer != nil {
				layer = *t.Layer
			}
			d.Recordings = append(d.Recordings, [8]report.Number{
				report.Number(t.Step), report.Number(layer), report.Number(of), report.Number(status[string(t.Status)]),
				report.Number(newCell(t).Shade), rough(t.Drift), rough(t.OpOurs), rough(t.Allowance),
			})
		}
		from = to
	}
}

// trace adds what the rows of pictures are.
func (d *data) trace(s *source, decode func([]int32) string) {
	d.Steps, d.First = s.steps, s.first
	if decode == nil {
		return
	}
	meta := s.ref.Meta()
	fed := 0
	at := map[int]int{} // first token of each step
	for step, n := range meta.Steps {
		at[step] = fed
		fed += n
	}
	for i, step := range s.steps {
		for t := range s.first[i+1] - s.first[i] {
			if len(d.Tokens) == dataTokens {
				return
			}
			d.Tokens = append(d.Tokens, decode(meta.Tokens[at[step]+t:at[step]+t+1]))
		}
	}
}

// rough keeps two digits.
func rough(n report.Number) report.Number {
	v := float64(n)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return n
	}
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'e', 1, 64), 64)
	return report.Number(v)
}
