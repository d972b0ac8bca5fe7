package diagnose

import (
	"slices"
	"testing"

	"attndiff/traces/tap"
)

func TestPasses(t *testing.T) {
	const layers = 3
	for _, c := range []struct {
		from, to tap.Key
		want     bool
	}{
		{tap.At(0, 1, tap.FFNInp), tap.At(0, 1, tap.LOut), true},
		{tap.At(0, 0, tap.AttnOut), tap.At(0, 2, tap.FFNInp), true},
		{tap.At(0, tap.NoLayer, tap.InpEmbd), tap.At(0, 2, tap.LOut), true},
		{tap.At(0, 0, tap.KRope), tap.At(2, 0, tap.KCache), true},
		{tap.At(0, 1, tap.QProj), tap.At(0, 1, tap.QBias), true},
		{tap.At(0, 0, tap.KQV), tap.At(0, 2, tap.KQV), false}, // far more than a sum lies between
		{tap.At(0, 1, tap.FFNInp), tap.At(0, 1, tap.FFNNorm), false},
		{tap.At(0, 1, tap.LOut), tap.At(0, 1, tap.FFNInp), false},
		{tap.At(0, 1, tap.LOut), tap.At(0, 1, tap.LOut), false},
		{tap.At(0, 1, tap.FFNUp), tap.At(1, 1, tap.FFNUp), false},
	} {
		if got := passes(c.from, c.to, layers); got != c.want {
			t.Errorf("%v comes to %v: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

// A sum that holds what an op wrote because that is its largest term explains
// nothing about the op, unless it looks wrong itself: then it may have been
// written over it.
func TestEchoes(t *testing.T) {
	for _, right := range []bool{true, false} {
		l := newLab()
		p := l.probe(tap.FFNInp, each(func(x *exhibit, i int) float64 { return x.want[i] + 1e3*float64(i%7+x.key.Step) }))
		for _, x := range p.exhibits { // as where the FFN gives 0
			l.held[tap.At(x.key.Step, x.key.Layer, tap.LOut)] = x.got
		}
		p.right = func(tap.Key) bool { return right }
		named := slices.ContainsFunc(p.clues(), func(c Clue) bool { return c.Names })
		if named == right {
			t.Errorf("l_out holds ffn_inp and is right: %v; a cause was named: %v", right, named)
		}
	}
}

// A result many times too large is not itself, added to what it should be.
func TestOffsetIsAnother(t *testing.T) {
	l := newLab()
	p := l.probe(tap.FFNSwiglu, each(func(x *exhibit, i int) float64 { return x.want[i] + 1e9*float64(i*(x.key.Layer+2)%11+1) }))
	p.exhibits = slices.DeleteFunc(p.exhibits, func(x *exhibit) bool { return x.key.Layer != 0 })
	for _, c := range offsets(p) {
		if c.Names {
			t.Errorf("%s: %s", c.Kind, c.Text)
		}
	}
}
