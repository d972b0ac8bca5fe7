package diagnose

import (
	"fmt"
	"math"
)

// tiles looks at the last two axes together: a checkerboard, a triangle or a
// rectangle of wrong elements, the same in every exhibit and leading index.
func tiles(p *probe) []Clue {
	if len(p.exhibits) == 0 || len(p.exhibits[0].shape) < 2 {
		return nil
	}
	x := p.exhibits[0]
	rows, cols := x.noun(len(x.shape)-2), x.noun(len(x.shape)-1)
	for _, t := range []struct {
		text string
		in   func(x *exhibit, r, c int) bool
	}{
		{fmt.Sprintf("wrong in a checkerboard: where %s + %s is odd", rows, cols), func(_ *exhibit, r, c int) bool { return (r+c)%2 == 1 }},
		{fmt.Sprintf("wrong in a checkerboard: where %s + %s is even", rows, cols), func(_ *exhibit, r, c int) bool { return (r+c)%2 == 0 }},
		{fmt.Sprintf("wrong only where a %s looks at itself", rows), func(x *exhibit, r, c int) bool { return p.squareAxes() && c == x.dims.P+r }},
		{fmt.Sprintf("wrong only at %ss after the %s's own", cols, rows), func(x *exhibit, r, c int) bool { return p.squareAxes() && c > x.dims.P+r }},
		{fmt.Sprintf("wrong only at the %s right after the %s's own", cols, rows), func(x *exhibit, r, c int) bool { return p.squareAxes() && c == x.dims.P+r+1 }},
	} {
		if p.pattern(t.in) {
			return []Clue{{Kind: "tile", Grade: Where, Residual: math.NaN(), Text: t.text}}
		}
	}
	return p.rectangle(rows, cols)
}

// squareAxes reports whether the last two axes are tokens against positions.
func (p *probe) squareAxes() bool {
	k := len(p.tap.Axes())
	return p.tap.Axes()[k-1] == "position"
}

// pattern reports whether exactly the elements of a pattern are wrong; an exhibit
// in which all or none would be says nothing, and one must say something.
func (p *probe) pattern(in func(x *exhibit, r, c int) bool) bool {
	told := false
	for _, x := range p.exhibits {
		cols := x.width()
		rows := x.shape[len(x.shape)-2]
		inside := 0
		for i, w := range x.wrong {
			is := in(x, i/max(cols, 1)%max(rows, 1), i%max(cols, 1))
			if is {
				inside++
			}
			if is != w {
				return false
			}
		}
		told = told || inside >= smallestSlice && inside < len(x.wrong)
	}
	return told
}

// rectangle looks for one block of rows and columns that holds all wrong
// elements and, in it, nearly no right ones.
func (p *probe) rectangle(rows, cols string) []Clue {
	const filled = 0.9
	said := ""
	for _, x := range p.exhibits {
		width, height := max(x.width(), 1), max(x.shape[len(x.shape)-2], 1)
		r0, r1, c0, c1 := height, -1, width, -1
		for i, w := range x.wrong {
			if w {
				r, c := i/width%height, i%width
				r0, r1, c0, c1 = min(r0, r), max(r1, r), min(c0, c), max(c1, c)
			}
		}
		if r1 < 0 {
			return nil
		}
		area := (r1 - r0 + 1) * (c1 - c0 + 1) * (len(x.wrong) / (width * height))
		if float64(x.wrongs) < filled*float64(area) || r1-r0+1 == height || c1-c0+1 == width || area < 2*smallestSlice {
			return nil
		}
		text := fmt.Sprintf("wrong only in the tile of %ss %d-%d by %ss %d-%d", rows, r0, r1, cols, c0, c1)
		if said != "" && text != said {
			return nil
		}
		said = text
	}
	return []Clue{{Kind: "tile", Grade: Where, Residual: math.NaN(), Text: said}}
}
