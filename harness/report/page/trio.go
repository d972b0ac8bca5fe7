package page

import (
	"fmt"
	"math"
)

// trio is the same matrix of ours, of the reference and of their difference,
// as [relative] measures it.
type trio struct{ ours, ref, diff *grid }

func newTrio(rows, cols, height, wide int) *trio {
	if rows == 0 || cols == 0 {
		return nil
	}
	return &trio{newGrid(rows, cols, height, wide), newGrid(rows, cols, height, wide), newGrid(rows, cols, height, wide)}
}

// signed is the scale of a trio's values.
func (t *trio) signed() scale {
	_, typical := t.ref.size()
	if typical == 0 {
		_, typical = t.ours.size()
	}
	return signed(typical, largestOf(t.ours, t.ref))
}

// beyond is how many times the reference's largest value a scale reaches, so
// that a side that explodes does not blank the other.
const beyond = 100

// largestOf is the largest value that both sides' scale has.
func largestOf(ours, ref *grid) float64 {
	a, _ := ours.size()
	b, _ := ref.size()
	if b == 0 {
		return a
	}
	return max(b, min(a, beyond*b))
}

// scoreScale is one scale for the scores of all heads.
func scoreScale(heads []*trio) scale {
	var s scale
	for _, t := range heads {
		if t != nil {
			one := t.signed()
			s.Low, s.High = max(s.Low, one.Low), max(s.High, one.High)
		}
	}
	return signed(s.Low, s.High)
}

// probabilities is one scale for the probabilities of all heads, which a
// broken softmax may make larger than 1.
func probabilities(heads []*trio) scale {
	top := 1.0
	for _, t := range heads {
		if t != nil {
			top = max(top, largestOf(t.ours, t.ref))
		}
	}
	s := amounts(top, 4)
	s.Low = 1e-4
	return s
}

// pictures draws the sides that there are.
func (t *trio) pictures(what string, values scale) []picture {
	var out []picture
	for _, side := range []struct {
		name string
		grid *grid
		scale
	}{{"ours", t.ours, values}, {"reference", t.ref, values}, {"difference", t.diff, relative}} {
		if side.grid.empty() {
			continue
		}
		out = append(out, picture{
			Side: side.name, Src: side.grid.draw(side.scale, palettes()[side.Kind]), Scale: side.scale,
			Label:  fmt.Sprintf("%s, %s: %s", what, side.name, side.grid.words()),
			Height: min(max(4*side.grid.height, 28), 220),
		})
	}
	return out
}

// empty reports whether nothing was put in.
func (g *grid) empty() bool {
	for _, v := range g.cell {
		if !isAbsent(v) {
			return false
		}
	}
	return true
}

// words describes a map for those who do not see it.
func (g *grid) words() string {
	largest, _ := g.size()
	bad := 0
	for _, v := range g.cell {
		if !isAbsent(v) && !(magnitude(v) <= math.MaxFloat32) {
			bad++
		}
	}
	text := fmt.Sprintf("%d by %d, largest %s", g.rows, g.cols, short(largest))
	if bad > 0 {
		text += fmt.Sprintf(", %s of the cells not finite", percent(bad, len(g.cell)))
	}
	return text
}
