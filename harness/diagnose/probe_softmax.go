package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// softMaxes reads two things off probabilities that nothing else shows: how
// sharp they are, which is the scale on the scores, and how far a token sees,
// which is the mask. Both are verified by computing the op that way.
func softMaxes(p *probe) []Clue {
	if p.tap != tap.KQSoftMax || len(p.exhibits) == 0 {
		return nil
	}
	var out []Clue
	if c, ok := p.mask(); ok {
		out = append(out, c)
	}
	s := p.sharpness()
	if !finite(s) || s <= 0 || math.Abs(s-1) < factorTolerance {
		return out
	}
	scale := s / math.Sqrt(float64(p.dims.D))
	residual, ok := p.holds(func(x *exhibit) *claim {
		return p.recompute(oracle.Variant{Semantics: func(_ tap.Key, sem *oracle.Semantics) { sem.ScoreScale *= s }}, x)
	})
	if !ok {
		return out
	}
	says := fmt.Sprintf("the score scale is %.6g", scale)
	if name := p.constantName(scale); name != "" {
		says += " = " + name
	}
	says += fmt.Sprintf(", %.6g times what it should be", s)
	return append(out, Clue{Kind: "score-scale", Grade: Whole, Residual: residual, Names: true,
		Text: "in ours " + says, Title: fmt.Sprintf("%s: %s", p.tap, says),
		Fix: "Scale the scores once, by 1/sqrt(head_dim)."})
}

// mask reads the last position that each token gives weight to.
func (p *probe) mask() (Clue, bool) {
	c := Clue{Kind: "mask-shifted", Grade: Whole, Names: true,
		Fix: "A token at position p sees positions 0 to p: the columns c with c <= past + t."}
	says, visible := "", func(past, t, c int) bool { return true }
	own, okOwn := p.ahead(func(past, t int) int { return past + t })
	fresh, okFresh := p.ahead(func(_, t int) int { return t })
	switch {
	case okOwn && own > 0:
		says = fmt.Sprintf("each token sees %s beyond its own", plural(own, "position"))
	case okOwn && own < 0:
		says = fmt.Sprintf("each token misses the last %s up to its own", plural(-own, "position"))
	case okOwn:
		return Clue{}, false
	case okFresh:
		says = "token t of a step sees positions up to t"
		if fresh != 0 {
			says += fmt.Sprintf("%+d", fresh)
		}
		says += ", whatever is cached"
		c.Kind = "mask-ignores-cache"
	default:
		says, c.Kind = "every token sees all positions", "mask-missing"
	}
	switch {
	case okOwn:
		visible = func(past, t, c int) bool { return c <= past+t+own }
	case okFresh:
		visible = func(_, t, c int) bool { return c <= t+fresh }
	}
	residual, ok := p.holds(func(x *exhibit) *claim {
		return p.recompute(oracle.Variant{Semantics: func(_ tap.Key, s *oracle.Semantics) { s.Visible = visible }}, x)
	})
	c.Residual, c.Text, c.Title = residual, "in ours "+says, fmt.Sprintf("%s: %s", p.tap, says)
	return c, ok
}

// ahead is how far beyond a token's reach its last weight lies, the same in
// every row that can tell: one that leaves its last column without weight.
func (p *probe) ahead(reach func(past, t int) int) (ahead int, ok bool) {
	for _, x := range p.exhibits {
		width, tokens := x.width(), max(x.dims.T, 1)
		for r := 0; (r+1)*width <= len(x.got); r++ {
			last := width - 1
			for last >= 0 && x.got[r*width+last] == 0 {
				last--
			}
			if last == width-1 || last < 0 {
				continue
			}
			n := last - reach(x.dims.P, r%tokens)
			if ok && n != ahead {
				return 0, false
			}
			ahead, ok = n, true
		}
	}
	return ahead, ok
}

// plural counts things: "1 position", "2 positions".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// sharpness is s in p_ours ~ p_oracle^s, by least squares over log(p/p_max).
func (p *probe) sharpness() float64 {
	const small = 1e-6 // below, probabilities have lost digits
	var xy, yy float64
	for _, x := range p.exhibits {
		width := max(x.width(), 1)
		for lo := 0; lo+width <= len(x.got); lo += width {
			top := lo
			for i := lo; i < lo+width; i++ {
				if x.want[i] > x.want[top] {
					top = i
				}
			}
			for i := lo; i < lo+width; i++ {
				if x.want[i] > small && x.got[i] > small && x.got[top] > small {
					a, b := math.Log(x.got[i]/x.got[top]), math.Log(x.want[i]/x.want[top])
					xy, yy = xy+a*b, yy+b*b
				}
			}
		}
	}
	return xy / yy
}
