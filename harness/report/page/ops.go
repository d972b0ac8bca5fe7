package page

import (
	"fmt"
	"slices"
	"strings"

	"attndiff/harness/report"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// op is one tap with its judgement and its pictures.
type op struct {
	Tap, Meaning           string
	Status                 verdict.Status
	Mark                   string
	Shape                  string
	Drift, Error, Allowed  string
	Place                  string // of the worst recording
	Why                    string
	Open                   bool
	Panels                 []panel
	Scores                 bool // its maps are in the section of attention
	Recordings, Introduced int
}

// scores is one layer's attention maps.
type scores struct {
	Tap, Meaning string
	Anchor       string
	Open         bool
	panel
}

// ops gathers the panels by tap; attention maps are a section of their own.
func ops(r *report.Report, panels []panel) (all []op, attention []scores) {
	for i := range panels {
		p := &panels[i]
		name := p.tap.String()
		if n := len(all); n == 0 || all[n-1].Tap != name {
			all = append(all, newOp(r, p.tap))
		}
		if len(p.Heads) > 0 {
			attention = append(attention, scores{
				Tap: name, Meaning: p.tap.Meaning(), Anchor: fmt.Sprintf("maps-%s-%d", name, p.layer), panel: *p,
			})
			p.Heads = nil
			all[len(all)-1].Scores = true
		}
		all[len(all)-1].Panels = append(all[len(all)-1].Panels, *p)
	}
	if r.First == nil && len(attention) > 0 {
		attention[len(attention)-1].Open = true
	}
	for i := range attention {
		if f := r.First; f != nil && f.Layer != nil && attention[i].layer == *f.Layer {
			attention[i].Open = true
		}
	}
	for i := range all {
		all[i].Open = r.First != nil && all[i].Tap == r.First.Tap
	}
	slices.SortStableFunc(attention, func(a, b scores) int { return a.layer - b.layer })
	return all, attention
}

// newOp describes a tap by its worst recording.
func newOp(r *report.Report, t tap.Tap) op {
	o := op{Tap: t.String(), Meaning: t.Meaning(), Status: "unjudged", Mark: " "}
	var worst *report.Tap
	for i := range r.Taps {
		row := &r.Taps[i]
		if row.Tap != o.Tap {
			continue
		}
		o.Recordings++
		if row.Status == verdict.Introduced {
			o.Introduced++
		}
		if o.Mark == " " || report.Worse(row.Status, o.Status) {
			o.Status, o.Mark = row.Status, report.Mark(row.Status)
		}
		if worst == nil || row.Excess() > worst.Excess() {
			worst = row
		}
	}
	if worst == nil {
		return o
	}
	o.Drift, o.Error, o.Allowed = worst.Drift.Amount(), worst.OpOurs.Amount(), worst.Allowance.Amount()
	o.Place, o.Why = place(worst), worst.Why
	o.Shape = strings.Trim(strings.Join(strings.Fields(fmt.Sprint(worst.Shape)), " × "), "[]")
	return o
}

// place names a recording and its worst element in words.
func place(t *report.Tap) string {
	var parts []string
	if t.Layer != nil {
		parts = append(parts, fmt.Sprintf("layer %d", *t.Layer))
	}
	parts = append(parts, fmt.Sprintf("step %d", t.Step))
	if len(t.Index) > 0 {
		parts = append(parts, report.Coordinates(t.Tap, t.Index))
	}
	return strings.Join(parts, ", ")
}
