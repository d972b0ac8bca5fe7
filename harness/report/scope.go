package report

import (
	"fmt"

	"attndiff/harness/diagnose"
)

// Limit is one kind of mistake that this run could not have shown.
type Limit struct {
	What     string   `json:"what"`
	Why      string   `json:"why"`
	Show     string   `json:"show"`     // the option that would show it
	Mistakes []string `json:"mistakes"` // causes that were tried and change nothing in this run
}

// Cleared is something odd in ours that the reference has too.
type Cleared struct {
	What      string    `json:"what"`
	Where     Recording `json:"where"`
	Ours      Number    `json:"ours"`
	Reference Number    `json:"reference"`
	Why       string    `json:"why"`
}

// Recording is an element of a recording; Index is empty when the whole is
// meant.
type Recording struct {
	Step  int    `json:"step"`
	Layer *int   `json:"layer"`
	Tap   string `json:"tap"`
	Index []int  `json:"index"`
}

func limits(in []diagnose.Limit) []Limit {
	out := []Limit{}
	for _, l := range in {
		out = append(out, Limit{l.What, l.Why, l.Show, list(l.Mistakes)})
	}
	return out
}

func cleared(in []diagnose.Suspicion) []Cleared {
	out := []Cleared{}
	for _, s := range in {
		out = append(out, Cleared{What: s.What, Ours: Number(s.Ours), Reference: Number(s.Reference), Why: s.Why,
			Where: Recording{s.Key.Step, layer(s.Key), s.Key.Tap.String(), list(s.Index)}})
	}
	return out
}

// How much of it a terminal shows; the report has all.
const (
	shownLimits  = 2
	shownCleared = 6
	limitLines   = 2 // of what a limit hides, and of how it comes
)

// scope says what this run could not have shown, and what is odd and right.
func (p printer) scope() {
	p.section("this run could not have shown", len(p.NotObservable), shownLimits)
	for _, l := range p.NotObservable[:min(shownLimits, len(p.NotObservable))] {
		p.clipped("  - ", l.What)
		p.clipped("    ", "try "+l.Show+": "+l.Why)
	}
	p.section("looks odd and is right: llama.cpp has it too", len(p.Cleared), shownCleared)
	for _, c := range p.Cleared[:min(shownCleared, len(p.Cleared))] {
		at := Tap{Step: c.Where.Step, Layer: c.Where.Layer, Index: c.Where.Index}
		p.line("  %s", clip(fmt.Sprintf("%-11s %-15s %s", c.Where.Tap, at.place(), c.What), 98))
	}
}

// section begins a list of which at most shown entries are printed.
func (p printer) section(title string, entries, shown int) {
	if entries == 0 {
		return
	}
	title = p.paint.in(bold, title)
	if entries > shown {
		title += fmt.Sprintf(" (%d more in the report)", entries-shown)
	}
	p.line("")
	p.line("%s", title)
}

// clipped writes text over at most limitLines lines, the first after a mark.
func (p printer) clipped(mark, text string) {
	lines := Wrap(text, 95)
	if len(lines) > limitLines {
		lines[limitLines-1] = clip(lines[limitLines-1]+" "+lines[limitLines], 95)
		lines = lines[:limitLines]
	}
	for i, l := range lines {
		if i > 0 {
			mark = "    "
		}
		p.line("%s%s", mark, l)
	}
}
