package diagnose

import (
	"math"
	"slices"

	"attndiff/harness/oracle"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// Clue is one thing that a probe saw in how ours differs from the oracle.
type Clue struct {
	Kind  string // short and stable: "constant-factor"
	Text  string // one plain sentence
	Grade Grade
	// Residual is the NMSE between ours and what the clue predicts, over the
	// sample; NaN when it predicts no values.
	Residual float64
	// Names is set when the clue names a mistake and does not merely describe
	// the difference: it can stand as the op's cause. Title and Fix word it.
	Names      bool
	Title, Fix string

	axis string // the axis the clue is about, "" for none
	open bool   // says what the wrong elements are and leaves open which
}

// Grade says what a clue accounts for.
type Grade uint8

const (
	Whole Grade = iota // reproduces every sampled recording within its allowance
	Part               // accounts for a part of what is wrong
	Where              // which elements of a recording are wrong
	When               // which recordings are wrong
)

// probe is one wrong op as the probes see it: each probe is a function of it
// that returns clues, none when it sees nothing. A probe claims only what it
// has verified on every exhibit, to the op's own noise.
type probe struct {
	tap      tap.Tap
	dims     tap.Dims // the model's widths; T and P are 0
	layers   int
	exhibits []*exhibit    // smallest first
	judged   []verdict.Tap // every recording of the tap in the run

	// What lies beyond the exhibits. Each answers nil where there is nothing.
	recorded  func(k tap.Key) []float64                 // ours' recording
	right     func(k tap.Key) bool                      // whether that is right by what it was computed from
	recompute func(v oracle.Variant, x *exhibit) *claim // the op of an exhibit, done another way
	vector    func(name string) []float64               // a norm weight or bias
	alike     func(name string) (names []string)        // the model's other tensors of that one's shape
	steps     []int                                     // tokens per step of the run
}

// probes in order of how much their clues say: where two reproduce ours, the
// earlier one is what happened in fewer words.
var probes = []func(*probe) []Clue{
	elsewhere, constants, offsets, shuffles, layouts, strides,
	kvHeads, turns, operands, weights, narrowing, narrowInputs, softMaxes,
	saturation, unwritten, leftovers, places, tiles, phases, roundingLevel,
}

// maxClues bounds the evidence of one finding.
const maxClues = 4

// examine runs the probes on a wrong op and adds what they see to its
// diagnosis. Where no hypothesis reproduced ours and a clue does, the clue is
// the cause.
func (e *experiment) examine(d *Diagnosis) {
	clues := pick(e.probe().clues())
	for _, c := range clues {
		d.Evidence = append(d.Evidence, c.Text)
	}
	if len(clues) == 0 || d.Cause.Status == Proven {
		return
	}
	c := clues[0]
	if c.Grade != Whole || d.Cause.Status == Likely && e.within(d.Cause.Residual) {
		return
	}
	next, residual := d.Cause.RunnerUp, d.Cause.RunnerUpResidual
	if d.Cause.Status == Likely {
		next, residual = d.Cause.ID, d.Cause.Residual
	}
	status := Likely
	if c.Names && !(residual <= separation*c.Residual) {
		status = Proven
	}
	d.Cause = Cause{ID: c.Kind, Title: c.Title, Status: status, Residual: c.Residual, RunnerUp: next, RunnerUpResidual: residual}
	d.Fix, d.Equal = c.Fix, nil
}

// within reports whether a residual is one that the op's allowance covers.
func (e *experiment) within(residual float64) bool {
	for _, r := range e.sample {
		if residual <= r.allowance {
			return true
		}
	}
	return false
}

// clues runs every probe.
func (p *probe) clues() []Clue {
	var all []Clue
	for _, look := range probes {
		all = append(all, look(p)...)
	}
	return all
}

// pick chooses the few most telling clues. What reproduces ours whole leaves
// nothing to say about which part is wrong; a clue about a part says more than
// the places along its axis.
func pick(all []Clue) []Clue {
	of := func(g Grade, most int) []Clue {
		var out []Clue
		for _, c := range all {
			if c.Grade == g && len(out) < most {
				out = append(out, c)
			}
		}
		return out
	}
	out := of(Whole, len(all))
	for _, c := range out {
		if closer(c, out[0]) {
			out[0] = c
		}
	}
	out = out[:min(len(out), 1)]
	if len(out) == 0 || out[0].open {
		out = append(out, of(Part, 2)...)
		told := map[string]bool{}
		for _, c := range out {
			told[c.axis] = c.axis != ""
		}
		where := slices.DeleteFunc(of(Where, len(all)), func(c Clue) bool { return told[c.axis] })
		out = append(out, where[:min(len(where), 2)]...)
	}
	out = append(out, of(When, 2)...)
	return out[:min(len(out), maxClues)]
}

// closer reports whether clue a is to be preferred to b where both reproduce
// ours: a mistake by its name before a description, then by far the smaller
// residual.
func closer(a, b Clue) bool {
	if a.Names != b.Names {
		return a.Names
	}
	return separation*separation*a.Residual < b.Residual
}

// probe gathers what the probes look at. Recordings that the oracle cannot
// recompute are left out.
func (e *experiment) probe() *probe {
	hp := e.bench.Reference.Meta().Hparams
	p := &probe{tap: e.tap, dims: hp.Dims(), layers: hp.NLayer, steps: e.bench.Ours.Meta().Steps}
	for _, r := range e.sample {
		want, err := e.eval(oracle.Variant{}, r.key)
		if err != nil || len(want.Data) != len(r.got) {
			continue
		}
		p.exhibits = append(p.exhibits, newExhibit(r, want, e.bench.Ours.Dims(r.key.Step)))
	}
	wrong := map[tap.Key]bool{}
	for _, t := range e.bench.Result.Taps {
		if t.Key.Tap == e.tap {
			p.judged = append(p.judged, t)
		}
		wrong[t.Key] = t.Status == verdict.Introduced
	}
	p.right = func(k tap.Key) bool { return !wrong[k] }
	p.recorded = remember(func(k tap.Key) []float64 {
		v, err := e.bench.Ours.Float64(k, nil)
		if err != nil {
			return nil
		}
		return v
	})
	p.recompute = func(v oracle.Variant, x *exhibit) *claim {
		value, err := e.eval(v.At(e.tap), x.key) // not at ops before it that were not recorded
		if err != nil || len(value.Data) != len(x.got) {
			return nil
		}
		return &claim{v: value.Data, noise: x.owed(value)}
	}
	p.vector = func(name string) []float64 {
		t, ok := e.bench.Model.Tensor(name)
		if !ok || len(t.Shape) != 1 {
			return nil
		}
		f, err := e.bench.Model.Float32(name)
		if err != nil {
			return nil
		}
		v := make([]float64, len(f))
		for i, x := range f {
			v[i] = float64(x)
		}
		return v
	}
	p.alike = func(name string) []string { return alike(e.bench.Model, name) }
	return p
}

// remember keeps recordings that were read; a miss is kept too.
func remember(read func(tap.Key) []float64) func(tap.Key) []float64 {
	held := map[tap.Key][]float64{}
	return func(k tap.Key) []float64 {
		v, ok := held[k]
		if !ok {
			v = read(k)
			held[k] = v
		}
		return v
	}
}

// holds reports whether a prediction reproduces every exhibit, and how well
// over all of them.
func (p *probe) holds(predict func(*exhibit) *claim) (residual float64, ok bool) {
	var err, energy float64
	for _, x := range p.exhibits {
		c := predict(x)
		if c == nil {
			return math.NaN(), false
		}
		f := x.fit(*c)
		if !f.within {
			return math.NaN(), false
		}
		err, energy = err+f.err, energy+f.energy
	}
	return ratio(err, energy), len(p.exhibits) > 0
}
