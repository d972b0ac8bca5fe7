package page

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"attndiff/harness/report"
	"attndiff/harness/verdict"
)

// head is the page's first screen apart from findings and texts.
type head struct {
	Title    string
	Mark     string // the verdict in one character
	Word     string // and in one or two words
	Sentence string
	Facts    []fact
	First    *first
	Closest  []closest // at parity: what is nearest to its allowance
}

// fact is a line about the run.
type fact struct{ Name, Value string }

// first is the first divergence in words.
type first struct {
	Where, At string
	Voices    []fact
	Why       string
	Cause     string // of the finding it belongs to
}

// closest is a recording near its allowance.
type closest struct {
	Tap, Place     string
	Error, Allowed string
	Share, Bar     int // per cent of the allowance, and cut to what a bar holds
}

// closestShown is how many of those a page lists.
const closestShown = 5

func newHead(r *report.Report) head {
	h := head{Facts: facts(r)}
	switch r.Verdict {
	case verdict.Parity:
		h.Mark, h.Word = "✓", "Parity"
		h.Sentence = fmt.Sprintf("No op of %s differs from %s by more than rounding explains: %d recordings were judged.",
			r.Ours.Engine, r.Reference.Engine, len(r.Taps))
		if !r.Oracle {
			h.Sentence += " Drift alone was judged; with a model each op would be recomputed by itself."
		}
		h.Closest = nearest(r)
	case verdict.EngineFailed:
		h.Mark, h.Word = "!", "Engine failed"
		h.Sentence = "An engine did not survive the run, so there is nothing to compare."
		if f := r.Failure; f != nil {
			h.Sentence = fmt.Sprintf("%s %s during %s.", f.Engine, f.Reason, f.Stage)
		}
	default:
		h.Mark, h.Word = "✕", "Divergence"
		h.Sentence = fmt.Sprintf("%s differs from %s by more than rounding explains.", r.Ours.Engine, r.Reference.Engine)
		if n := len(r.Findings); n > 0 {
			h.Sentence = fmt.Sprintf("%s of %s %s wrong; everything else is right or inherits the error.",
				count(n, "op"), r.Ours.Engine, map[bool]string{true: "is", false: "are"}[n == 1])
		}
	}
	if d := r.First; d != nil {
		h.First = &first{Where: report.Where(d.Tap, d.Layer, d.Step), Why: d.Why}
		for _, f := range r.Findings {
			if f.Tap == d.Tap && h.First.Cause == "" {
				h.First.Cause = f.Cause.Title
			}
		}
		if len(d.Index) > 0 {
			h.First.At = report.Coordinates(d.Tap, d.Index)
		}
		for _, v := range []struct {
			name  string
			value report.Number
		}{{"ours", d.Ours}, {"reference", d.Reference}, {"oracle", d.Oracle}} {
			h.First.Voices = append(h.First.Voices, fact{v.name, v.value.Value()})
		}
	}
	h.Title = h.Word + ": " + cmp.Or(r.Model.Name, "attndiff")
	return h
}

// facts lists what was run, leaving out what is not known.
func facts(r *report.Report) []fact {
	var out []fact
	add := func(name string, parts ...string) {
		parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
		if len(parts) > 0 {
			out = append(out, fact{name, strings.Join(parts, ", ")})
		}
	}
	if m := r.Model; m.NLayer > 0 {
		add("model", m.Name, count(m.NLayer, "layer"), fmt.Sprintf("%d query heads on %d KV heads of %d", m.NHead, m.NHeadKV, m.HeadDim),
			"KV cache "+m.KVType)
	}
	if n := len(r.Prompt.Tokens); n > 0 {
		add("prompt", r.Prompt.Name, count(n, "token"), fmt.Sprintf("%d decoded", len(r.Tokens.Reference)))
	}
	add("reference", r.Reference.Engine, r.Reference.Version, r.Reference.Device)
	add("ours", r.Ours.Engine, r.Ours.Version, r.Ours.Device)
	if f := r.Ours.Faults; f != nil && len(*f) > 0 {
		add("planted", *f...)
	}
	if t, ok := r.Timing["total"]; ok {
		add("time", strconv.FormatFloat(t, 'f', 1, 64)+" s")
	}
	return out
}

// count spells a number of things.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// nearest lists the ops closest to their allowance, one recording of each.
func nearest(r *report.Report) []closest {
	worst := map[string]*report.Tap{}
	for i := range r.Taps {
		t := &r.Taps[i]
		if t.Status == verdict.OK && (worst[t.Tap] == nil || t.Excess() > worst[t.Tap].Excess()) {
			worst[t.Tap] = t
		}
	}
	var taps []*report.Tap
	for _, t := range worst {
		if t.Excess() > 0 {
			taps = append(taps, t)
		}
	}
	slices.SortFunc(taps, func(a, b *report.Tap) int {
		return cmp.Or(cmp.Compare(b.Excess(), a.Excess()), cmp.Compare(a.Tap, b.Tap))
	})
	var out []closest
	for _, t := range taps[:min(closestShown, len(taps))] {
		e := t.OpOurs
		if e != e {
			e = t.Drift
		}
		share := int(100*t.Excess() + 0.5)
		out = append(out, closest{t.Tap, place(t), e.Amount(), t.Allowance.Amount(), share, min(share, 100)})
	}
	return out
}
