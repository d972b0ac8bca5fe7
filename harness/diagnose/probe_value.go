package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
)

// saturation looks for errors that begin at a magnitude: everything larger is
// wrong (overflow), or everything smaller (underflow).
func saturation(p *probe) []Clue {
	right, wrong := bounds{lo: math.Inf(1)}, bounds{lo: math.Inf(1)}
	inf := 0
	var held []float64
	for _, x := range p.exhibits {
		for i, y := range x.want {
			a := math.Abs(y)
			switch {
			case !finite(y) || a == 0:
			case x.wrong[i]:
				wrong.add(a)
				if math.IsInf(x.got[i], 0) {
					inf++
				}
				if v := math.Abs(x.got[i]); len(held) == 0 || held[0] != v {
					held = append(held, v)
				}
			default:
				right.add(a)
			}
		}
	}
	if wrong.n < smallestSlice || right.n < enoughValues {
		return nil
	}
	// The two ranges must meet: a gap of more than a factor of two between them
	// says that they are different things, not one thing cut at a threshold.
	switch {
	case right.hi < wrong.lo && wrong.lo <= 2*right.hi:
		holds := ""
		switch {
		case inf == wrong.n:
			holds = ", where ours is Inf"
		case len(held) == 1:
			holds = fmt.Sprintf(", where ours stays at %.6g", held[0])
		}
		return []Clue{{Kind: "overflow", Grade: Part, Residual: math.NaN(),
			Text: fmt.Sprintf("wrong exactly where the oracle exceeds %s in size%s, right everywhere below: an overflow",
				threshold(right.hi, wrong.lo), holds)}}
	case wrong.hi < right.lo && right.lo <= 2*wrong.hi:
		return []Clue{{Kind: "underflow", Grade: Part, Residual: math.NaN(),
			Text: fmt.Sprintf("wrong exactly where the oracle is below %s in size, right everywhere above: too small for the type that holds it",
				threshold(wrong.hi, right.lo))}}
	}
	return nil
}

// bounds are the extremes of some magnitudes.
type bounds struct {
	lo, hi float64
	n      int
}

func (b *bounds) add(v float64) { b.lo, b.hi, b.n = math.Min(b.lo, v), math.Max(b.hi, v), b.n+1 }

// threshold words a limit that lies between two magnitudes.
func threshold(below, above float64) string {
	for _, f := range []format{f16Type, formats[0], formats[1]} {
		if below <= f.max && f.max < above {
			return fmt.Sprintf("%g, the largest %s number", f.max, f.name)
		}
	}
	if k := math.Floor(math.Log2(above)); math.Exp2(k) >= below {
		return fmt.Sprintf("%g (2^%g)", math.Exp2(k), k)
	}
	return fmt.Sprintf("about %.4g", above)
}

// unwritten looks for elements that nobody wrote: exact zeros where the oracle
// has none, and NaN that no arithmetic makes.
func unwritten(p *probe) []Clue {
	var out []Clue
	nan, zero := tally{}, tally{}
	poisoned := 0
	wrongs := 0
	for _, x := range p.exhibits {
		wrongs += x.wrongs
		for i, v := range x.got {
			switch {
			case !x.wrong[i]:
			case math.IsNaN(v):
				nan.add(x, i)
				if poison(v) {
					poisoned++
				}
			case v == 0:
				zero.add(x, i)
			}
		}
	}
	if nan.n > 0 {
		text := "ours is NaN " + nan.text(wrongs)
		whole, kind := Part, "not-finite"
		if poisoned == nan.n {
			text += ", with bit patterns that arithmetic does not make: it comes from memory that was never written"
			kind = "unwritten"
			if nan.n == wrongs {
				whole = Whole
			}
		}
		out = append(out, Clue{Kind: kind, Grade: whole, Residual: math.NaN(), Text: text, open: true,
			Title: fmt.Sprintf("%s holds memory that was never written, or was computed from some", p.tap),
			Fix:   "Find what should write these elements, or what they are computed from: a launch that does not cover them, a row stored elsewhere, a missing barrier."})
	}
	if residual, ok := p.holds(rectified); ok && zero.n == wrongs {
		out = append(out, Clue{Kind: "negatives-are-zero", Grade: Whole, Residual: residual, Names: true,
			Text:  "ours is 0 wherever the oracle is negative, and right elsewhere",
			Title: fmt.Sprintf("negative values of %s are set to 0", p.tap),
			Fix:   "Look for a ReLU or a max with 0 on the result, or an unsigned type on the way."})
	}
	if 2*zero.n >= wrongs && zero.n > 0 { // fewer are what underflow leaves
		c := Clue{Kind: "zeros", Grade: Part, Residual: math.NaN(), Text: "ours is exactly 0 " + zero.text(wrongs), open: true,
			Title: fmt.Sprintf("%s is zero where it should not be", p.tap),
			Fix:   "Find what writes these elements: a launch that does not cover them, or a term that is masked out."}
		if zero.n == wrongs {
			c.Grade, c.Text = Whole, c.Text+": not written, or masked out"
		}
		out = append(out, c)
	}
	return out
}

// rectified is the claim that negative values have become 0.
func rectified(x *exhibit) *claim {
	c := x.gather(func(i int) int { return i })
	for i, v := range c.v {
		c.v[i] = math.Max(v, 0)
	}
	return c
}

// poison reports whether a NaN carries a payload: the ones that arithmetic
// makes have none. Go's own NaN has a 1 in the last place.
func poison(v float64) bool {
	const payload = 1<<51 - 1
	return math.Float64bits(v)&payload > 1
}

// tally counts elements and remembers the first.
type tally struct {
	n     int
	first string
}

func (t *tally) add(x *exhibit, i int) {
	if t.n == 0 {
		t.first = fmt.Sprintf("%s of %s", x.place(i), x)
	}
	t.n++
}

// text words a tally beside the number of wrong elements.
func (t *tally) text(wrongs int) string {
	if t.n == wrongs {
		return fmt.Sprintf("in all %d wrong elements, first at %s", t.n, t.first)
	}
	return fmt.Sprintf("in %d of %d wrong elements, first at %s", t.n, wrongs, t.first)
}

// leftovers looks for wrong elements that hold what lay at the same place of
// the buffer before: the layer or the step that used it last.
func leftovers(p *probe) []Clue {
	var before []relation
	if len(p.exhibits) > 0 {
		for _, in := range oracle.Inputs(p.exhibits[0].key, p.layers) {
			if in.Tap != p.tap {
				before = append(before, p.beside(in.Tap))
			}
		}
	}
	before = append(before, relation{tap: p.tap, layer: -1}, relation{tap: p.tap, step: -1})
	if p.tap.PerLayer() {
		before = append(before, relation{tap: p.tap, layer: p.layers - 1, fixed: true, step: -1}, relation{tap: p.tap, layer: 1})
	}
	for _, r := range before {
		if !p.tap.PerLayer() && r.step == 0 {
			continue
		}
		seen := tally{}
		wrongs, exhibits := 0, 0
		for _, x := range p.exhibits {
			k, ok := r.of(x.key, p.layers)
			if !ok || k == x.key {
				continue
			}
			other := p.recorded(k)
			if len(other) == 0 || len(other) != len(x.got) && r.tap != p.tap {
				continue
			}
			exhibits++
			wrongs += x.wrongs
			for i := range min(len(x.got), len(other)) {
				if x.wrong[i] && x.got[i] == other[i] && other[i] != 0 {
					seen.add(x, i)
				}
			}
		}
		const nearlyAll = 0.9
		if seen.n >= 2*smallestSlice && float64(seen.n) >= nearlyAll*float64(wrongs) && 2*exhibits >= len(p.exhibits) {
			if r.tap != p.tap {
				return []Clue{{Kind: "not-applied-in-part", Grade: Part, Residual: math.NaN(), open: true,
					Text: fmt.Sprintf("ours equals the op's input %s %s: the op was not applied there", r.tap, seen.text(wrongs))}}
			}
			return []Clue{{Kind: "leftover", Grade: Part, Residual: math.NaN(), open: true,
				Text: fmt.Sprintf("ours holds what %s%s left at the same place %s", p.tap, r.where(), seen.text(wrongs))}}
		}
	}
	return nil
}
