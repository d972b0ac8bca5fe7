package diagnose

import (
	"fmt"
	"slices"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// relation names a recording by how it stands to another one: a tap, so many
// layers and steps away, or at one fixed layer.
type relation struct {
	tap   tap.Tap
	layer int  // added to the layer; the layer itself when fixed
	fixed bool // layer is absolute
	step  int  // added to the step
}

// of returns the recording that stands so to k; false when there is none.
func (r relation) of(k tap.Key, layers int) (tap.Key, bool) {
	layer := k.Layer
	switch {
	case !r.tap.PerLayer():
		layer = tap.NoLayer
	case r.fixed:
		layer = r.layer
	case k.Layer == tap.NoLayer:
		return tap.Key{}, false
	default:
		layer += r.layer
	}
	to := tap.At(k.Step+r.step, layer, r.tap)
	if r.tap == tap.LOut && !r.fixed && layer == -1 { // the stream before the first layer
		to = tap.At(k.Step+r.step, tap.NoLayer, tap.InpEmbd)
		return to, to.Step >= 0
	}
	return to, to.Step >= 0 && (!r.tap.PerLayer() || layer >= 0 && layer < layers)
}

// where words the relation: "of the layer before, one step earlier".
func (r relation) where() string {
	s := ""
	switch {
	case !r.tap.PerLayer():
	case r.fixed:
		s = fmt.Sprintf(" of layer %d", r.layer)
	case r.layer == -1:
		s = " of the layer before"
	case r.layer == 1:
		s = " of the layer after"
	case r.layer < 0:
		s = fmt.Sprintf(" of %d layers before", -r.layer)
	case r.layer > 0:
		s = fmt.Sprintf(" of %d layers after", r.layer)
	}
	if r.step == -1 {
		s += " at the step before"
	}
	return s
}

// relations lists what a recording may be mistaken for: other taps of the same
// layer, the same tap of other layers, and the same tap one step earlier.
func (p *probe) relations() []relation {
	var out []relation
	for _, t := range tap.All() {
		if t != p.tap {
			out = append(out, p.beside(t))
		}
	}
	out = append(out, relation{tap: p.tap, step: -1}, relation{tap: tap.LOut, layer: -1})
	if p.tap.PerLayer() {
		out = append(out, p.otherLayers(p.tap)...)
		out = append(out, relation{tap: p.tap, layer: p.layers - 1, fixed: true, step: -1})
	}
	return out
}

// beside is a tap of the same layer; what exists once per step stands beside
// the last layer.
func (p *probe) beside(t tap.Tap) relation {
	if t.PerLayer() && !p.tap.PerLayer() {
		return relation{tap: t, layer: p.layers - 1, fixed: true}
	}
	return relation{tap: t}
}

// maxLayers bounds how many layers a probe looks into beside the exhibit's own.
const maxLayers = 32

// otherLayers lists a tap at every other layer, by distance and, for the
// exhibits that it then fits better, by number.
func (p *probe) otherLayers(t tap.Tap) []relation {
	var near, fixed []relation
	for d := 1; d < min(p.layers, maxLayers); d++ {
		near = append(near, relation{tap: t, layer: -d}, relation{tap: t, layer: d})
	}
	for l := range min(p.layers, maxLayers) {
		fixed = append(fixed, relation{tap: t, layer: l, fixed: true})
	}
	return append(near, fixed...)
}

// isInput reports whether the relation names an input of the probed op.
func (p *probe) isInput(r relation) bool {
	x := p.exhibits[0]
	to, ok := r.of(x.key, p.layers)
	return ok && slices.Contains(oracle.Inputs(x.key, p.layers), to)
}

// echoes reports whether a relation leads to what an exhibit is a term of, rightly
// added up: where the exhibit is the largest term the sum holds nearly the same,
// and that says nothing of how the exhibit came about. What a later op wrote over
// the exhibit's buffer looks wrong from there.
func (p *probe) echoes(r relation) bool {
	return p.right != nil && slices.ContainsFunc(p.exhibits, func(x *exhibit) bool {
		k, ok := r.of(x.key, p.layers)
		return ok && p.right(k) && passes(x.key, k, p.layers)
	})
}

// sums are the ops that pass on what they read, or add to it: residuals, biases
// and caches.
var sums = []tap.Tap{tap.FFNInp, tap.LOut, tap.QBias, tap.KBias, tap.VBias, tap.KCache, tap.VCache}

// passes reports whether a recording comes to another one through sums alone.
func passes(from, to tap.Key, layers int) bool {
	seen := map[tap.Key]bool{}
	for todo := []tap.Key{to}; len(todo) > 0; {
		k := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !slices.Contains(sums, k.Tap) {
			continue
		}
		for _, in := range oracle.Inputs(k, layers) {
			if in == from {
				return true
			}
			if !seen[in] && in.Compare(from) > 0 {
				seen[in] = true
				todo = append(todo, in)
			}
		}
	}
	return false
}

// elsewhere looks for ours among the other recordings: an op that was not
// applied, a buffer of another layer, a step that was not recomputed.
func elsewhere(p *probe) []Clue {
	for _, r := range p.relations() {
		residual, ok := p.holds(func(x *exhibit) *claim { return p.copyOf(x, r) })
		if !ok || p.echoes(r) {
			continue
		}
		c := Clue{Grade: Whole, Residual: residual, Names: true}
		what := r.tap.String() + r.where()
		switch {
		case p.isInput(r):
			c.Kind = "not-applied"
			c.Title = fmt.Sprintf("%s is not applied: its input %s passes through unchanged", p.tap, what)
			c.Fix = fmt.Sprintf("Launch the op that computes %s, and have it write the buffer that is read afterwards.", p.tap)
		case r.tap == p.tap && r.step != 0:
			c.Kind = "stale-step"
			c.Title = fmt.Sprintf("%s still holds the step before", p.tap)
			c.Fix = "Recompute the buffer in every step: a launch is skipped, or its output goes elsewhere."
		case r.tap == p.tap:
			c.Kind = "other-layer"
			c.Title = fmt.Sprintf("%s is that%s", p.tap, r.where())
			c.Fix = "Take the buffers of the layer that is being computed: check the layer index and the layer's stride."
		default:
			c.Kind = "other-tensor"
			c.Title = fmt.Sprintf("%s holds what %s holds", p.tap, what)
			c.Fix = fmt.Sprintf("Check the pointers of the op that computes %s: it writes or returns %s.", p.tap, r.tap)
		}
		c.Text = fmt.Sprintf("ours equals %s element for element", what)
		return []Clue{c}
	}
	return nil
}

// copyOf is the claim that an exhibit holds another recording, by flat index as
// two tensors in one buffer would. Between steps the lengths may differ; what
// lies beyond the shorter makes no claim.
func (p *probe) copyOf(x *exhibit, r relation) *claim {
	k, ok := r.of(x.key, p.layers)
	if !ok || k == x.key {
		return nil
	}
	other := p.recorded(k)
	if varied(other) < enoughValues/2 || len(other) != len(x.got) && !(r.tap == p.tap && r.step != 0) {
		return nil
	}
	return x.gatherFrom(other)
}

// varied counts distinct values, up to as many as make an agreement telling:
// rows of zeros and ones agree by accident.
func varied(v []float64) int {
	seen := map[float64]bool{}
	for _, x := range v {
		if seen[x] = true; len(seen) == enoughValues {
			break
		}
	}
	return len(seen)
}

// gatherFrom is the claim that an exhibit holds these values by flat index, up
// to one f32 rounding.
func (x *exhibit) gatherFrom(other []float64) *claim {
	c := &claim{nans(len(x.got)), make([]float64, len(x.got))}
	for i := range min(len(other), len(c.v)) {
		c.v[i], c.noise[i] = other[i], f32Rounding*other[i]*other[i]+oracle.StorageNoise(x.dtype, other[i])
	}
	return c
}
