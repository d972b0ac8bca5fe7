package diagnose

import (
	"fmt"
	"math"
	"slices"
)

// longestAxis bounds the axes that are matched slice by slice, which takes time
// quadratic in their length.
const longestAxis = 512

// signature is how many elements of a slice are compared with every other
// slice; the match is then verified on all of them.
const signature = 64

// smallestSlice is how many elements must agree before a match is no accident.
const smallestSlice = 4

// shuffles looks along each axis for slices of ours that hold another slice of
// the oracle: heads in another order, positions shifted, dims reversed.
func shuffles(p *probe) []Clue {
	if len(p.exhibits) == 0 {
		return nil
	}
	var parts []Clue
	for k := range p.exhibits[0].shape {
		maps := map[*exhibit][]int{}
		for _, x := range p.exhibits {
			if m := x.match(k); m != nil {
				maps[x] = m
			}
		}
		c, ok := p.shuffleClue(k, maps)
		switch {
		case ok && c.Grade == Whole:
			return []Clue{c}
		case ok:
			parts = append(parts, c)
		}
	}
	return parts
}

// letters stand for an index in the wording of a map.
var letters = map[string]string{"token": "t", "head": "h", "KV head": "g", "dim": "d", "channel": "e", "position": "c"}

// shuffleClue words the maps along axis k. It is whole when the maps alone
// reproduce ours; a map that leaves slices unexplained is a part.
func (p *probe) shuffleClue(k int, maps map[*exhibit][]int) (Clue, bool) {
	if len(maps) == 0 {
		return Clue{}, false
	}
	var ordered [][]int
	first := ""
	for _, x := range p.exhibits {
		if m, ok := maps[x]; ok {
			ordered = append(ordered, m)
			if first == "" {
				first = x.String()
			}
		}
	}
	noun := p.exhibits[0].noun(k)
	text := spell(ordered, noun, letters[noun], belongsTo, noun)
	where := ""
	if text == "" {
		text, where = spell(ordered[:1], noun, letters[noun], belongsTo, noun), " ("+first+")"
	}
	if text == "" {
		return Clue{}, false
	}
	c := Clue{Kind: kindOf(noun), Grade: Part, Residual: math.NaN(), axis: noun, Text: "in ours " + text + where,
		Names: true, Title: fmt.Sprintf("%s: %s", p.tap, text),
		Fix: fmt.Sprintf("Index the %s axis of %s straight: check offsets, strides and the order in which %ss are written.", noun, p.tap, noun)}
	residual, ok := p.holds(func(x *exhibit) *claim {
		m, ok := maps[x]
		if !ok {
			return nil
		}
		a := x.axisOf(k)
		return x.gather(func(i int) int {
			to := m[a.slice(i)]
			if i < x.base && a.outer > 1 {
				return i
			}
			if to == unknown {
				return -1
			}
			return i + (to-a.slice(i))*a.inner
		})
	})
	switch {
	case ok && where == "":
		c.Grade, c.Residual = Whole, residual
	case where == "" && len(maps) < len(p.exhibits):
		c.Text += fmt.Sprintf("; so in %d of %d sampled recordings", len(maps), len(p.exhibits))
	}
	return c, true
}

// kindOf names a shuffle along an axis.
func kindOf(noun string) string {
	switch noun {
	case "KV head", "head":
		return "head-permutation"
	case "token", "position":
		return "position-shift"
	}
	return "dim-permutation"
}

// match finds for each slice along axis k the slice of the oracle that it
// holds. A slice that could be several is unknown, unless it is right as it
// is. nil when nothing moved or less than half of the wrong slices were found.
func (x *exhibit) match(k int) []int {
	a := x.axisOf(k)
	if a.n < 2 || a.n > longestAxis || a.outer*a.inner < smallestSlice {
		return nil
	}
	m := make([]int, a.n)
	wrong, found := 0, 0
	picks := x.signature(a)
	for s := range m {
		m[s] = s
		if x.same(a, s, s, nil) {
			continue
		}
		wrong++
		if m[s] = x.holder(a, s, picks); m[s] != unknown {
			found++
		}
	}
	if found < 1 || 2*found < wrong || identity(m) {
		return nil
	}
	return m
}

// holder is the one slice of the oracle that slice s of ours holds.
func (x *exhibit) holder(a axis, s int, picks []int) int {
	holder := unknown
	for to := range a.n {
		if to == s || !x.same(a, s, to, picks) || !x.same(a, s, to, nil) {
			continue
		}
		if holder != unknown {
			return unknown
		}
		holder = to
	}
	return holder
}

// signature chooses elements of a slice in which the oracle differs most from
// slice to slice: evenly spread ones, largest first.
func (x *exhibit) signature(a axis) []int {
	n := a.outer * a.inner
	picks := make([]int, 0, signature)
	for j := range min(n, signature) {
		picks = append(picks, j*n/min(n, signature))
	}
	spread := func(j int) float64 {
		s := 0.0
		for c := range a.n {
			s += math.Abs(x.want[a.at(c, j)])
		}
		return s
	}
	size := map[int]float64{}
	for _, j := range picks {
		size[j] = spread(j)
	}
	slices.SortStableFunc(picks, func(i, j int) int {
		switch {
		case size[i] > size[j]:
			return -1
		case size[i] < size[j]:
			return 1
		}
		return 0
	})
	return picks
}

// same reports whether slice s of ours holds slice to of the oracle on the
// given elements of the slice, on all when picks is nil. A slice of zeros holds
// nothing: it could be anywhere.
func (x *exhibit) same(a axis, s, to int, picks []int) bool {
	n := a.outer * a.inner
	if picks != nil {
		n = len(picks)
	}
	var err, noise, energy float64
	known := 0
	for j := range n {
		e := j
		if picks != nil {
			e = picks[j]
		}
		i, t := a.at(s, e), a.at(to, e)
		if i < x.base && a.outer > 1 {
			continue // older than the step
		}
		y := x.want[t]
		if !finite(y) {
			continue
		}
		d := x.got[i] - y
		v := x.noise[t]
		if !(d*d <= 4*elementConfidence*v) && picks != nil {
			return false
		}
		err, noise, energy, known = err+d*d, noise+v, energy+y*y, known+1
	}
	return err <= sliceConfidence*noise && known > 0 && (energy > 0 || s == to)
}
