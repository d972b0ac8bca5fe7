package diagnose

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attndiff/harness/oracle"
)

// offsets looks for ours = oracle + a * something known: a bias of the model, a
// recording of ours, or one vector for all tokens.
func offsets(p *probe) []Clue {
	if len(p.exhibits) == 0 {
		return nil
	}
	for _, format := range biasNames {
		if c, ok := p.offsetBy(tensorName(format), func(x *exhibit) []float64 {
			return tile(p.vector(layerName(format, x.key.Layer)), len(x.got))
		}); ok {
			return []Clue{c}
		}
	}
	for _, r := range p.relations() {
		if c, ok := p.offsetBy(r.tap.String()+r.where(), func(x *exhibit) []float64 {
			k, ok := r.of(x.key, p.layers)
			if !ok || k == x.key {
				return nil
			}
			return p.recorded(k)
		}); ok && !p.echoes(r) {
			return []Clue{c}
		}
	}
	return p.vectorOffset()
}

// biasNames are the vectors that may be added where they should not be.
var biasNames = []string{"blk.%d.attn_q.bias", "blk.%d.attn_k.bias", "blk.%d.attn_v.bias"}

// tensorName is a tensor's name without its layer.
func tensorName(format string) string { return strings.TrimPrefix(format, "blk.%d.") }

// tile repeats v over n elements, nil when it does not go into n.
func tile(v []float64, n int) []float64 {
	if len(v) == 0 || n%len(v) != 0 {
		return nil
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = v[i%len(v)]
	}
	return out
}

// offsetBy fits a in ours = oracle + a*known over all exhibits and verifies it.
func (p *probe) offsetBy(what string, known func(*exhibit) []float64) (Clue, bool) {
	var dk, kk float64
	for _, x := range p.exhibits {
		k := known(x)
		if len(k) != len(x.got) {
			return Clue{}, false
		}
		for i, y := range x.want {
			if d := x.got[i] - y; i >= x.base && finite(d) && finite(k[i]) {
				dk, kk = dk+d*k[i], kk+k[i]*k[i]
			}
		}
	}
	a := ratio(dk, kk)
	if a == 0 || !finite(a) {
		return Clue{}, false
	}
	if near := math.Round(a); near != 0 && math.Abs(a/near-1) < factorTolerance {
		a = near
	}
	residual, ok := p.holds(func(x *exhibit) *claim {
		k := known(x)
		return x.plus(func(i int) float64 { return a * k[i] })
	})
	if !ok {
		return Clue{}, false
	}
	c := Clue{Kind: "offset", Grade: Whole, Residual: residual, Names: true}
	switch a {
	case -1:
		c.Kind = "term-missing"
		c.Text = fmt.Sprintf("ours lacks exactly %s: oracle minus that", what)
		c.Title = fmt.Sprintf("%s lacks %s", p.tap, what)
		c.Fix = fmt.Sprintf("Add %s once, where the op adds it.", what)
	case 1:
		c.Kind = "term-added"
		c.Text = fmt.Sprintf("ours is the oracle plus %s", what)
		c.Title = fmt.Sprintf("%s has %s added once too often", p.tap, what)
		c.Fix = fmt.Sprintf("Do not add %s here; a GEMM's beta must be 0 unless its output is meant to accumulate.", what)
	default:
		c.Text = fmt.Sprintf("ours is the oracle plus %.6g times %s", a, what)
		c.Title = fmt.Sprintf("%s has %.6g times %s added", p.tap, a, what)
		c.Fix = fmt.Sprintf("Check the factor on %s.", what)
	}
	return c, true
}

// plus is the claim that an exhibit is the oracle plus an offset per element.
func (x *exhibit) plus(offset func(i int) float64) *claim {
	c := &claim{make([]float64, len(x.want)), make([]float64, len(x.want))}
	storing := x.storing()
	for i, y := range x.want {
		o := 0.0
		if i >= x.base {
			o = offset(i)
		}
		c.v[i] = y + o
		c.noise[i] = x.noise[i] + storing*c.v[i]*c.v[i] + f32Rounding*o*o
	}
	return c
}

// offsetTokens is how many tokens a vector of offsets must hold for.
const offsetTokens = 4

// vectorOffset looks for one vector that is added to every token of a layer.
func (p *probe) vectorOffset() []Clue {
	if p.tap.Axes()[0] == "head" {
		return nil
	}
	type sum struct{ v, noise, n []float64 }
	sums := map[int]*sum{}
	width := 0
	for _, x := range p.exhibits {
		width = len(x.got) / max(x.shape[0], 1)
		s := sums[x.key.Layer]
		if s == nil {
			s = &sum{make([]float64, width), make([]float64, width), make([]float64, width)}
			sums[x.key.Layer] = s
		}
		for i, y := range x.want {
			if d := x.got[i] - y; i >= x.base && finite(d) {
				s.v[i%width] += d
				s.noise[i%width] += x.noise[i] + f32Rounding*x.got[i]*x.got[i]
				s.n[i%width]++
			}
		}
	}
	for _, s := range sums {
		for e := range s.v {
			s.v[e] = ratio(s.v[e], s.n[e])
			if s.n[e] < offsetTokens {
				return nil
			}
		}
	}
	residual, ok := p.holds(func(x *exhibit) *claim {
		v := sums[x.key.Layer].v
		return x.plus(func(i int) float64 { return v[i%width] })
	})
	if !ok {
		return nil
	}
	c := Clue{Kind: "vector-offset", Grade: Whole, Residual: residual,
		Text:  "ours is the oracle plus one vector that is the same for every token",
		Title: fmt.Sprintf("%s has a constant vector added", p.tap),
		Fix:   "Check the bias: left out, added twice, or another tensor's."}
	own, isBias := tensorOf[p.tap], slices.Contains(biasNames, tensorOf[p.tap])
	if !isBias {
		return []Clue{c}
	}
	name := p.vectorSource(own, func(layer int) (v, deviation []float64) {
		s, is := sums[layer], p.vector(layerName(own, layer))
		if len(is) != len(s.v) {
			return nil, nil
		}
		v, deviation = make([]float64, len(is)), make([]float64, len(is))
		for e, b := range is {
			v[e] = s.v[e] + b
			deviation[e] = math.Sqrt(elementConfidence*s.noise[e])/s.n[e] + oracle.UnitF32*math.Abs(b)
		}
		return v, deviation
	})
	if name != "" {
		c.Text += ": " + name
		c.Title, c.Names, c.Kind = sourceTitle(p.tap, "adds", name), true, "wrong-bias"
		c.Fix = "Add element h*head_dim + d of the layer's own " + tensorName(own) + ", in the type the file has, to dim d of head h."
	}
	return []Clue{c}
}
