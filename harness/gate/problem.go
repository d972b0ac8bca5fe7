package gate

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attndiff/harness/comparison"
	"attndiff/harness/report"
	"attndiff/harness/verdict"
)

// Kind is a way in which a case fails.
type Kind string

// The kinds.
const (
	Introduced Kind = "introduced" // an op is wrong
	Diverges   Kind = "divergence" // the run diverges and no op is to blame alone
	Unclean    Kind = "unclean"    // a case that was clean no longer is
	Grown      Kind = "grown"      // an op's error grew past the baseline, inside its allowance
	Unknown    Kind = "baseline"   // the baseline is of another model or prompt, or lacks the case
	Died       Kind = "engine-failed"
	Moved      Kind = "reference-moved" // llama.cpp is not what the golden trace has
	Stale      Kind = "stale"           // a record that belongs to nothing: a waiver unused or expired, a case gone
)

// Problem is one thing that fails a case.
type Problem struct {
	Kind   Kind   `json:"kind"`
	Tap    string `json:"tap,omitempty"`
	Layers []int  `json:"layers"` // empty for taps without layers
	Steps  []int  `json:"steps"`
	Text   string `json:"text"` // one sentence with its numbers

	Severity report.Severity `json:"severity,omitempty"`
	Cause    string          `json:"cause,omitempty"`
	Fix      string          `json:"fix,omitempty"`
	Where    *report.Place   `json:"where,omitempty"`
	Waiver   *int            `json:"waiver,omitempty"` // number of the waiver that puts up with it

	say   func(layers []int) string // the text for some of the layers; nil when it is the same for all
	empty bool                      // all of it was split off
}

// String is the problem with its place.
func (p *Problem) String() string {
	place := p.Tap
	for _, part := range []string{report.Ranges("layer", p.Layers), report.Ranges("step", p.Steps)} {
		if part != "" {
			place += ", " + part
		}
	}
	if place == "" {
		return p.Text
	}
	return place + ": " + p.Text
}

// split divides the problem into the part in some layers, nil for all of them,
// and the rest. whole is set when there is no rest.
func (p Problem) split(layers []int) (some *Problem, rest Problem, whole bool) {
	if layers == nil || len(p.Layers) == 0 {
		if layers != nil {
			return nil, p, false // named layers are not those of a tap that has none
		}
		all := p
		p.empty = true
		return &all, p, true
	}
	in, out := p, p
	in.Layers, out.Layers = nil, nil
	for _, l := range p.Layers {
		if slices.Contains(layers, l) {
			in.Layers = append(in.Layers, l)
		} else {
			out.Layers = append(out.Layers, l)
		}
	}
	if in.Layers == nil {
		return nil, p, false
	}
	for _, part := range []*Problem{&in, &out} {
		if part.say != nil {
			part.Text = part.say(part.Layers)
		}
	}
	out.empty = out.Layers == nil
	return &in, out, out.empty
}

// problems lists what is wrong in a judged run, whatever the baseline says.
func problems(d *comparison.Diff) []Problem {
	var list []Problem
	for _, f := range d.Report.Findings {
		where := f.Where
		p := Problem{Kind: Introduced, Tap: f.Tap, Layers: f.Layers, Steps: f.Steps, Severity: f.Severity,
			Cause: f.Cause.Title, Fix: f.Fix, Where: &where,
			Text: f.Evidence.Why}
		if len(f.Layers) > 0 {
			p.say = func(layers []int) string { return worst(d.Report, f.Tap, layers) }
			p.Text = p.say(f.Layers)
		}
		list = append(list, p)
	}
	if d.Report.Verdict == verdict.Divergence && len(list) == 0 {
		p := Problem{Kind: Diverges, Layers: []int{}, Steps: []int{}, Text: "ours drifts from the reference more than its ops explain"}
		if f := d.Report.First; f != nil {
			p.Tap, p.Steps, p.Text = f.Tap, []int{f.Step}, f.Why
			if f.Layer != nil {
				p.Layers = []int{*f.Layer}
			}
		}
		list = append(list, p)
	}
	return list
}

// worst says why the worst wrong recording of a tap in some layers is wrong.
func worst(r *report.Report, tap string, layers []int) string {
	var at *report.Tap
	for i := range r.Taps {
		t := &r.Taps[i]
		if t.Tap != tap || t.Status != verdict.Introduced || t.Layer == nil || !slices.Contains(layers, *t.Layer) {
			continue
		}
		if at == nil || t.Excess() > at.Excess() {
			at = t
		}
	}
	if at == nil {
		return ""
	}
	return at.Why
}

// notJudgedWord begins the entry of an op whose inputs were not finite.
const notJudgedWord = "not-judged"

// unclean lists, sorted, in what a run is not clean beside wrong ops: what was
// not judged, what differs between runs of ours, what an engine said of itself.
// An entry is a word and a tap; the map has a sentence for each.
func unclean(d *comparison.Diff) (entries []string, why map[string]Problem) {
	why = map[string]Problem{}
	note := func(word, tap string, layer *int, step int, text string) {
		key := strings.TrimSpace(word + " " + tap)
		p, again := why[key]
		if !again {
			p = Problem{Kind: Unclean, Tap: tap, Layers: []int{}, Steps: []int{}, Text: text}
			entries = append(entries, key)
		}
		if layer != nil {
			p.Layers = insert(p.Layers, *layer)
		}
		if tap != "" {
			p.Steps = insert(p.Steps, step)
		}
		why[key] = p
	}
	for i := range d.Report.Taps {
		switch t := &d.Report.Taps[i]; t.Status {
		case verdict.Missing, verdict.NoOracle, verdict.Inherited:
			note(string(t.Status), t.Tap, t.Layer, t.Step, t.Why)
		case verdict.OK:
			if math.IsNaN(float64(t.OpOurs)) {
				note(notJudgedWord, t.Tap, t.Layer, t.Step, "its inputs are not finite, so that it was not judged")
			}
		}
	}
	for _, u := range d.Report.Unstable {
		note("unstable", u.Tap, u.Layer, u.Step, "differs between identical runs of ours")
	}
	if run := d.Input.Run; run != nil && len(run.Warnings) > 0 {
		text := run.Warnings[0].String()
		if more := len(run.Warnings) - 1; more > 0 {
			text += fmt.Sprintf(" (and %d more)", more)
		}
		note("warning", "", nil, 0, text)
	}
	slices.Sort(entries)
	return entries, why
}

// insert adds v to an ascending list that may have it.
func insert(list []int, v int) []int {
	if at, has := slices.BinarySearch(list, v); !has {
		return slices.Insert(list, at, v)
	}
	return list
}
