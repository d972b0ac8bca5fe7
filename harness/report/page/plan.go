package page

import (
	"math"
	"slices"

	"attndiff/harness/report"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// MaxBytes is the most that a page takes.
const MaxBytes = 3_000_000

// pictureBudget is what of it pictures may take; the rest is for words, the
// map of layers and the growth of errors, all of which are bounded.
const pictureBudget = 2_150_000

// maxLayers is how many layers of one tap are drawn.
const maxLayers = 4

// choice is a tap's layer that is drawn.
type choice struct {
	tap   tap.Tap
	layer int
}

// wishes lists what could be drawn, most telling first: the first divergence,
// the findings where they are worst, every tap where it is worst, then more
// layers of each, round by round.
func wishes(r *report.Report, s *source) []choice {
	taps := priority(r, s)
	layers := map[tap.Tap][]int{}
	for _, t := range taps {
		layers[t] = candidates(r, s, t)
	}
	var out []choice
	for round := range maxLayers {
		for _, t := range taps {
			if round < len(layers[t]) {
				out = append(out, choice{t, layers[t][round]})
			}
		}
	}
	return out
}

// affordable takes from a list what fits so many bytes even if its pictures
// come out as large as they can, the first first, and returns the rest.
func (s *source) affordable(list []choice, left int) (take, rest []choice) {
	for _, c := range list {
		if cost := s.cost(c.tap); cost <= left {
			left -= cost
			take = append(take, c)
		} else {
			rest = append(rest, c)
		}
	}
	return take, rest
}

// priority lists the recorded taps: that of the first divergence, those of the
// findings, then all others in execution order.
func priority(r *report.Report, s *source) []tap.Tap {
	var out []tap.Tap
	add := func(name string) {
		if t, err := tap.Parse(name); err == nil && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	if r.First != nil {
		add(r.First.Tap)
	}
	for _, f := range r.Findings {
		add(f.Tap)
	}
	recorded := map[tap.Tap]bool{}
	for _, side := range [][]tap.Key{s.ours.Keys(), s.ref.Keys()} {
		for _, k := range side {
			recorded[k.Tap] = true
		}
	}
	for _, t := range tap.All() {
		if recorded[t] {
			add(t.String())
		}
	}
	return slices.DeleteFunc(out, func(t tap.Tap) bool { return !recorded[t] })
}

// candidates lists the layers of a tap, most telling first.
func candidates(r *report.Report, s *source, t tap.Tap) []int {
	if !t.PerLayer() {
		return []int{tap.NoLayer}
	}
	var out []int
	add := func(layer int) {
		there := slices.ContainsFunc(s.steps, func(step int) bool { return s.has(tap.At(step, layer, t)) })
		if there && !slices.Contains(out, layer) {
			out = append(out, layer)
		}
	}
	name := t.String()
	if f := r.First; f != nil && f.Layer != nil && f.Tap == name {
		add(*f.Layer)
	}
	for _, f := range r.Findings {
		if f.Tap == name && f.Evidence.Layer != nil {
			add(*f.Evidence.Layer)
		}
	}
	if isScores(t) || isCache(t) { // what attention made of the first mistake
		if f := r.First; f != nil && f.Layer != nil {
			add(*f.Layer)
		}
	}
	if isScores(t) { // both of one layer, side by side
		if layer, ok := largest(r, tap.KQSoftMax.String(), func(t *report.Tap) float64 { return float64(t.Drift) }); ok {
			add(layer)
		}
	}
	for _, measure := range []func(*report.Tap) float64{(*report.Tap).Excess, func(t *report.Tap) float64 { return float64(t.Drift) }} {
		if layer, ok := largest(r, name, measure); ok {
			add(layer)
		}
	}
	n := s.ref.Meta().Hparams.NLayer
	for _, layer := range []int{0, n - 1, n / 2} {
		add(layer)
	}
	if len(out) == 0 { // a trace of some other layers
		for layer := range n {
			add(layer)
		}
	}
	return out
}

// largest finds the layer where a measure of a tap is largest.
func largest(r *report.Report, name string, measure func(*report.Tap) float64) (layer int, ok bool) {
	best := math.Inf(-1)
	for i := range r.Taps {
		t := &r.Taps[i]
		if t.Tap != name || t.Layer == nil || t.Status == verdict.Missing {
			continue
		}
		if v := measure(t); v > best {
			best, layer, ok = v, *t.Layer, true
		}
	}
	return layer, ok
}

// What surrounds the pictures of a panel, and those of one head, in bytes.
const (
	panelMarkup = 4000
	headMarkup  = 1000
)

// size is what a panel takes in the page.
func (p *panel) size() int {
	n := panelMarkup + headMarkup*len(p.Heads)
	for _, groups := range [][]group{p.Groups, p.Heads} {
		for _, g := range groups {
			for _, m := range g.Maps {
				n += len(m.Src)
			}
		}
	}
	return n
}

// cost is the most that a tap's pictures of one layer take in the page.
func (s *source) cost(t tap.Tap) int { return s.costOf(t, s.dims()) }

func (s *source) costOf(t tap.Tap, d tap.Dims) int {
	heads, width := layout(t, d)
	rows := d.T
	if isCache(t) {
		rows = s.columns
	}
	total := panelMarkup
	if isScores(t) {
		one := pictureBytes(min(rows, headSide) * min(s.columns, headSide))
		total += min(heads, drawnHead) * (3*one + headMarkup)
	} else {
		height, wide := tokenSize(rows, heads*width)
		total += 3 * pictureBytes(height*wide)
	}
	if heads > 1 {
		total += 3 * pictureBytes(min(heads, maxHeads)*min(rows, headsWide))
	}
	return total
}
