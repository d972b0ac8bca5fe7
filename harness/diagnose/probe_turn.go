package diagnose

import (
	"fmt"
	"slices"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// mostPositions bounds how many positions a token's rotation is held against.
const mostPositions = 512

// turns reads off by which position each token was rotated: it rotates all
// tokens by one position after the other and notes which of them ours meets.
func turns(p *probe) []Clue {
	if !slices.Contains(ropeTaps, p.tap) || len(p.exhibits) == 0 {
		return nil
	}
	most := 0
	for _, x := range p.exhibits {
		most = max(most, x.dims.C()+x.dims.T)
	}
	if most > mostPositions {
		return nil
	}
	k := p.axisNamed("token")
	found := map[*exhibit][]int{}
	sums := map[*exhibit]*claim{}
	for _, x := range p.exhibits {
		found[x] = slices.Repeat([]int{unknown}, x.dims.T)
		sums[x] = &claim{nans(len(x.got)), make([]float64, len(x.got))}
	}
	for position := range most {
		v := oracle.Variant{Semantics: func(_ tap.Key, s *oracle.Semantics) {
			s.Position = func(int, int, int) int { return position }
		}}
		for _, x := range p.exhibits {
			c := p.recompute(v, x)
			if c == nil {
				return nil
			}
			a := x.axisOf(k)
			for t := range found[x] {
				if found[x][t] == unknown && x.agrees(a, t, c) {
					found[x][t] = position
					x.take(a, t, sums[x], c)
				}
			}
		}
	}
	residual, ok := p.holds(func(x *exhibit) *claim { return sums[x] })
	if !ok {
		return nil
	}
	length := 0
	for _, x := range p.exhibits {
		length = max(length, x.dims.C())
	}
	var maps [][]int // by position in the sequence
	for _, x := range p.exhibits {
		m := slices.Repeat([]int{unknown}, length)
		copy(m[x.dims.P:], found[x])
		maps = append(maps, m)
	}
	text := spell(maps, "position", "p", verb{"turns as", "turn as"}, "position")
	if text == "" {
		return nil
	}
	return []Clue{{Kind: "rope-position-map", Grade: Whole, Residual: residual, Names: true, axis: "token",
		Text: "in ours " + text, Title: fmt.Sprintf("%s: %s", p.tap, text),
		Fix: "Token t of a step stands at position past+t: rotate it by its own."}}
}
