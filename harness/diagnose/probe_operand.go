package diagnose

import (
	"fmt"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// operands recomputes the op with each of its inputs replaced by other
// recordings: the wrong buffer, another layer's cache, the step before, or two
// inputs that changed places.
func operands(p *probe) []Clue {
	if len(p.exhibits) == 0 {
		return nil
	}
	x := p.exhibits[0]
	inputs := oracle.Inputs(x.key, p.layers)
	if c, ok := p.swapped(inputs); ok {
		return []Clue{c}
	}
	tries := budget / p.cost()
	for which, in := range inputs {
		if in.Tap == p.tap {
			continue // the cache's older rows
		}
		size := len(p.recorded(in))
		for _, r := range p.substitutes(in) {
			k, ok := r.of(x.key, p.layers)
			if !ok || k == in || size == 0 || len(p.recorded(k)) != size {
				continue
			}
			if tries--; tries < 0 {
				return nil
			}
			residual, ok := p.holds(func(x *exhibit) *claim { return p.recompute(p.reading(which, r), x) })
			if !ok || p.echoes(r) {
				continue
			}
			what, meant := r.tap.String()+r.where(), in.Tap.String()
			if last := oracle.Inputs(p.exhibits[len(p.exhibits)-1].key, p.layers)[which]; last.Tap != in.Tap {
				meant = "the stream that enters the layer"
			}
			return []Clue{{Kind: "wrong-input", Grade: Whole, Residual: residual, Names: true,
				Text:  fmt.Sprintf("ours is what %s gives when it reads %s where %s is meant", p.tap, what, meant),
				Title: fmt.Sprintf("%s reads %s where %s is meant", p.tap, what, meant),
				Fix:   fmt.Sprintf("Pass %s, of the layer and step that is being computed.", meant)}}
		}
	}
	return nil
}

// swapped tries the op's two inputs in each other's place.
func (p *probe) swapped(inputs []tap.Key) (Clue, bool) {
	if len(inputs) != 2 || len(p.recorded(inputs[0])) != len(p.recorded(inputs[1])) {
		return Clue{}, false
	}
	swap := oracle.Variant{Read: func(of, in tap.Key) tap.Key {
		if of.Tap != p.tap { // an op before it, recomputed across a gap
			return in
		}
		switch of := oracle.Inputs(of, p.layers); in {
		case of[0]:
			return of[1]
		case of[1]:
			return of[0]
		}
		return in
	}}
	residual, ok := p.holds(func(x *exhibit) *claim { return p.recompute(swap, x) })
	a, b := inputs[0].Tap, inputs[1].Tap
	return Clue{Kind: "inputs-swapped", Grade: Whole, Residual: residual, Names: true,
		Text:  fmt.Sprintf("ours is what %s gives with %s and %s in each other's place", p.tap, a, b),
		Title: fmt.Sprintf("%s takes its inputs %s and %s in each other's place", p.tap, a, b),
		Fix:   "Exchange the two arguments."}, ok
}

// substitutes lists what may be read where in is meant.
func (p *probe) substitutes(in tap.Key) []relation {
	var out []relation
	for _, t := range tap.All() {
		if t != in.Tap && t != p.tap {
			out = append(out, p.beside(t))
		}
	}
	if in.Tap.PerLayer() && p.tap.PerLayer() {
		out = append(out, p.otherLayers(in.Tap)...)
	}
	return append(out, relation{tap: in.Tap, step: -1}, relation{tap: tap.LOut, layer: -1})
}

// reading is the variant that reads r where one of the op's inputs is due.
// Another tap's rows are cut to the width of the one that is meant.
func (p *probe) reading(which int, r relation) oracle.Variant {
	return oracle.Variant{
		Read: func(of, in tap.Key) tap.Key {
			if of.Tap != p.tap || in != oracle.Inputs(of, p.layers)[which] {
				return in
			}
			k, ok := r.of(of, p.layers)
			if !ok || k == in || len(p.recorded(k)) != len(p.recorded(in)) {
				return tap.Key{Step: -1}
			}
			return k
		},
		Feed: func(_, in tap.Key, y oracle.Rows, d tap.Dims) oracle.Rows {
			shape := in.Tap.Shape(d)
			if w := shape[len(shape)-1]; w > 0 && len(y.V)%w == 0 {
				y.N, y.Width = len(y.V)/w, w
			}
			return y
		},
	}
}

// budget bounds the multiplications that experiments on one op's first exhibit
// may take: about a second.
const budget = 1 << 30

// cost is how many multiplications recomputing the first exhibit takes.
func (p *probe) cost() int {
	x := p.exhibits[0]
	if x.composed {
		return budget
	}
	n := max(len(x.got), 1)
	switch p.tap {
	case tap.QProj, tap.KProj, tap.VProj, tap.AttnOut, tap.FFNGate, tap.FFNUp, tap.ResultOutput:
		return n * max(p.dims.E, 1)
	case tap.FFNOut:
		return n * max(p.dims.F, 1)
	case tap.KQ:
		return n * max(p.dims.D, 1)
	case tap.KQV:
		return n * max(x.dims.C(), 1)
	}
	return n
}
