package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// format is a floating-point type as far as rounding to it goes.
type format struct {
	name     string
	mantissa int     // explicit bits
	minExp   int     // exponent of the smallest normal number
	max      float64 // largest finite number
}

// formats that values may have passed through, the narrowest first. e4m3 and
// e5m2 are the 8-bit floats of arXiv:2209.05433.
var formats = []format{
	{"e5m2", 2, -14, 57344}, {"e4m3", 3, -6, 448}, {"bf16", 7, -126, math.MaxFloat32}, f16Type, {"tf32", 10, -126, math.MaxFloat32},
}

var f16Type = format{"f16", 10, -14, 65504}

// spacing is the distance of neighbouring numbers of the format around y.
func (f format) spacing(y float64) float64 {
	_, exp := math.Frexp(y) // y = m * 2^exp, m in [0.5, 1)
	return math.Ldexp(1, max(exp-1, f.minExp)-f.mantissa)
}

// nearest rounds to nearest even; what is too large becomes Inf.
func (f format) nearest(y float64) float64 {
	if y == 0 || !finite(y) {
		return y
	}
	s := f.spacing(y)
	return f.limit(math.RoundToEven(y/s) * s)
}

// truncated rounds toward zero.
func (f format) truncated(y float64) float64 {
	if y == 0 || !finite(y) {
		return y
	}
	s := f.spacing(y)
	return f.limit(math.Trunc(y/s) * s)
}

func (f format) limit(y float64) float64 {
	if math.Abs(y) > f.max {
		return math.Inf(int(math.Copysign(1, y)))
	}
	return y
}

// representable reports whether y is a number of the format.
func representable(y float64, f format) bool { return f.nearest(y) == y }

// enoughValues is how many numbers must look alike before that is a finding.
const enoughValues = 32

// narrowing looks for values that passed through a narrower type: all of ours
// are numbers of it and the oracle's are not. Rounding is verified both ways.
func narrowing(p *probe) []Clue {
	for _, f := range formats {
		if !p.fits(f) {
			continue
		}
		for _, how := range []struct {
			kind, text, fix string
			round           func(float64) float64
		}{
			{"narrow-storage-" + f.name, "rounded to " + f.name, "Keep the result in f32 until it is stored where " + f.name + " is meant.", f.nearest},
			{"truncated-" + f.name, "cut off to " + f.name + " toward zero", "Round to nearest even: __float2half_rn, not a truncating conversion or a shift of bits.", f.truncated},
		} {
			residual, ok := p.holds(func(x *exhibit) *claim { return x.rounded(how.round) })
			if ok {
				return []Clue{{Kind: how.kind, Grade: Whole, Residual: residual, Names: true,
					Text:  "ours is the oracle " + how.text,
					Title: fmt.Sprintf("%s is %s", p.tap, how.text), Fix: how.fix}}
			}
		}
		return []Clue{{Kind: "narrow-values", Grade: Part, Residual: math.NaN(),
			Text: fmt.Sprintf("every value of ours is a %s number, and the oracle's are not: something narrows them", f.name)}}
	}
	return nil
}

// fits reports whether ours holds numbers of the format alone, although the
// oracle does not and the recording's own type is wider.
func (p *probe) fits(f format) bool {
	values, plain, distinct := 0, 0, map[float64]bool{}
	for _, x := range p.exhibits {
		if x.dtype == trace.F16 || x.dtype == trace.BF16 {
			return false // recorded narrow: says nothing about the op
		}
		for i, v := range x.got {
			if v == 0 || !finite(v) || !finite(x.want[i]) {
				continue
			}
			if !representable(v, f) {
				return false
			}
			values++
			if representable(x.want[i], f) {
				plain++
			}
			if len(distinct) < enoughValues {
				distinct[v] = true
			}
		}
	}
	return len(distinct) >= enoughValues && 2*plain < values
}

// rounded is the claim that an exhibit is the oracle after rounding. Near a tie
// the oracle's noise decides either way: ours may be what any value within six
// deviations rounds to.
func (x *exhibit) rounded(round func(float64) float64) *claim {
	c := &claim{make([]float64, len(x.want)), make([]float64, len(x.want))}
	for i, y := range x.want {
		slack := math.Sqrt(elementConfidence * x.noise[i])
		lo, hi := round(y-slack), round(y+slack)
		if c.v[i] = x.got[i]; !(lo <= x.got[i] && x.got[i] <= hi) {
			c.v[i] = round(y)
		}
		c.noise[i] = f32Rounding * y * y
	}
	return c
}

// roundingLevel words an error without structure by how many bits seem to be
// good: accumulation or operands in a narrow type, an approximated function.
func roundingLevel(p *probe) []Clue {
	var err, energy, cross float64
	var levels []float64
	for _, x := range p.exhibits {
		width := max(x.width(), 1)
		for lo := 0; lo < len(x.want); lo += width {
			var e, s float64
			for i := lo; i < min(lo+width, len(x.want)); i++ {
				y, d := x.want[i], x.got[i]-x.want[i]
				if !finite(y) {
					continue
				}
				e, s, cross = e+d*d, s+y*y, cross+d*y
			}
			if s > 0 {
				levels = append(levels, e/s)
			}
			err, energy = err+e, energy+s
		}
	}
	// Rounding errors do not follow the signal, and nearly every row has them.
	// What is good to fewer bits than a bf16 sum is wrong and not inexact.
	const followed, most, alike = 0.2, 0.8, 100
	level, near := ratio(err, energy), 0
	for _, l := range levels {
		if l > level/alike && l < level*alike {
			near++
		}
	}
	bits := -math.Log2(level/oracle.RoundingNMSE(1)) / 2
	if !(bits > 7 && bits < 20) || math.Abs(cross) > followed*math.Sqrt(err*energy) || float64(near) < most*float64(len(levels)) {
		return nil
	}
	return []Clue{{Kind: "rounding-level", Grade: Where, Residual: math.NaN(),
		Text: fmt.Sprintf("the error is noise in every row, NMSE %.2g, as if something were good to %.0f bits (f32 has 24, f16 11, bf16 8): narrow operands, sums in a narrow type, or an approximation",
			level, bits)}}
}

// narrowInputs recomputes the op with its inputs rounded to a narrower type,
// one after the other and all at once.
func narrowInputs(p *probe) []Clue {
	if len(p.exhibits) == 0 {
		return nil
	}
	inputs := oracle.Inputs(p.exhibits[0].key, p.layers)
	tries := budget / p.cost()
	for _, f := range formats {
		for _, how := range []struct {
			kind, text string
			round      func(float64) float64
		}{{"narrow-input-", "rounded to " + f.name, f.nearest}, {"truncated-input-", "cut off to " + f.name + " toward zero", f.truncated}} {
			for which := -1; which < len(inputs); which++ {
				if len(inputs) == 1 && which < 0 || which >= 0 && inputs[which].Tap == p.tap {
					continue
				}
				if tries--; tries < 0 {
					return nil
				}
				residual, ok := p.holds(func(x *exhibit) *claim { return p.recompute(p.rounding(which, how.round), x) })
				if !ok {
					continue
				}
				what := "all inputs"
				if which >= 0 {
					what = inputs[which].Tap.String()
				}
				return []Clue{{Kind: how.kind + f.name, Grade: Whole, Residual: residual, Names: true,
					Text:  fmt.Sprintf("ours is what %s gives with %s %s", p.tap, what, how.text),
					Title: fmt.Sprintf("%s takes %s %s", p.tap, what, how.text),
					Fix:   fmt.Sprintf("Convert to nearest even, once, and to no type narrower than the one that is meant: %s passes through %s.", what, f.name)}}
			}
		}
	}
	return nil
}

// rounding is the variant that rounds one input of an op, all for -1. Rows that
// a cache held before the step are not read again.
func (p *probe) rounding(which int, round func(float64) float64) oracle.Variant {
	return oracle.Variant{Feed: func(of, in tap.Key, y oracle.Rows, _ tap.Dims) oracle.Rows {
		inputs := oracle.Inputs(of, p.layers)
		if of.Tap != p.tap || in.Tap == of.Tap || which >= 0 && in != inputs[which] {
			return y
		}
		v := make([]float64, len(y.V))
		for i, x := range y.V {
			v[i] = round(x)
		}
		y.V = v
		return y
	}}
}
