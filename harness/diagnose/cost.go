package diagnose

import (
	"attndiff/traces/tap"
)

// cost is roughly how many nanoseconds a recording takes to recompute from the
// given inputs: its own op and, across a gap, the composed ones in every layer
// and step that the gap spans.
func (b *Bench) cost(k tap.Key, inputs []tap.Key, composed []tap.Tap) int {
	total := opCost(k.Tap, b.Ours.Dims(k.Step))
	if len(composed) == 0 {
		return total
	}
	layers, first := across(k, inputs, b.Ours.Meta().Hparams.NLayer)
	for step := first; step <= k.Step; step++ {
		for _, t := range composed {
			total += layers * opCost(t, b.Ours.Dims(step))
		}
	}
	return total
}

// across is how many layers a composition runs through, and its first step. One
// without recorded inputs starts at the tokens.
func across(k tap.Key, inputs []tap.Key, all int) (layers, firstStep int) {
	last := k.Layer
	if !k.Tap.PerLayer() {
		last = all
	}
	if len(inputs) == 0 {
		return last + 1, 0
	}
	layers, firstStep = 1, k.Step
	for _, in := range inputs {
		layers, firstStep = max(layers, last-in.Layer), min(firstStep, in.Step)
	}
	return layers, firstStep
}

// opCost is one op's share, in nanoseconds on one core.
func opCost(t tap.Tap, d tap.Dims) int {
	const reading = 8 // a weight, widening it and squaring it
	product := func(in, out int) int { return (d.T + reading) * in * out }
	switch t {
	case tap.KQ, tap.KQV:
		const perProduct = 3 // the noise is summed beside it
		return perProduct * d.H * d.T * d.C() * d.D
	case tap.QProj, tap.AttnOut:
		return product(d.E, d.H*d.D)
	case tap.KProj, tap.VProj:
		return product(d.E, d.G*d.D)
	case tap.FFNGate, tap.FFNUp, tap.FFNOut:
		return product(d.E, d.F)
	case tap.ResultOutput:
		return product(d.E, d.V)
	}
	perElement := 16
	switch t {
	case tap.KQSoftMax:
		perElement = 48 // an exponential, and its noise
	case tap.QRope, tap.KRope:
		perElement = 128 // half a power, a sine and a cosine
	}
	return perElement * tap.Elements(t.Shape(d))
}
