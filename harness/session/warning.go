package session

import (
	"fmt"
	"slices"
)

// Warning is what an engine noticed about its own run that does not show in a
// tensor: a kernel that reached outside its buffers, or left an output
// unwritten.
type Warning struct {
	Kernel string `json:"kernel"`
	At     string `json:"at"` // the recording that the launch computes: "s0000.l01.kq"
	Tap    string `json:"tap"`
	What   string `json:"what"`
	Times  int    `json:"times"` // launches of this tap that were warned of, this one first
}

// String says it in one line.
func (w Warning) String() string {
	s := fmt.Sprintf("kernel %s (tap %s) %s", w.Kernel, w.At, w.What)
	if w.Times > 1 {
		s += fmt.Sprintf("; %d launches of %s in all did so", w.Times, w.Tap)
	}
	return s
}

// perTap keeps the first warning of each tap and counts them: a kernel that
// writes out of bounds does so at every launch.
func perTap(list []Warning) []Warning {
	var kept []Warning
	for _, w := range list {
		if i := slices.IndexFunc(kept, func(k Warning) bool { return k.Tap == w.Tap }); i >= 0 {
			kept[i].Times++
			continue
		}
		w.Times = 1
		kept = append(kept, w)
	}
	return kept
}

// warn takes in an engine's warnings. Those of ours are findings by themselves.
func (r *Run) warn(res *Result, ours bool) {
	for _, w := range res.Warnings {
		r.note(res.Info.Engine + ": " + w.String())
		if ours && !slices.ContainsFunc(r.Warnings, func(o Warning) bool { return o.Tap == w.Tap }) {
			r.Warnings = append(r.Warnings, w)
		}
	}
}
