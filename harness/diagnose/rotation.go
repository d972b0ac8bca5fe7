package diagnose

import (
	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// ropeTaps are the taps that RoPE writes.
var ropeTaps = []tap.Tap{tap.QRope, tap.KRope}

// rotationMistakes are the mistakes people make in which dims RoPE turns and
// how; those in the angle are angleMistakes.
func rotationMistakes(m Model) []Hypothesis {
	half := m.Dims.D / 2
	change := func(aspect, id, title, fix string, f func(*oracle.Semantics)) Hypothesis {
		return Hypothesis{ID: id, Aspect: aspect, Taps: ropeTaps, Title: title, Fix: fix, Variant: semantic(f)}
	}
	neox := "Qwen2 is a NEOX model: pair dim i with dim i+D/2, on reading and on writing."
	formula := "a' = a cos - b sin and b' = a sin + b cos, both from the old a and b."
	turned := func(id, title string, rotate func(a, b, sin, cos float64) (float64, float64)) Hypothesis {
		return change("formula", id, title, formula, func(s *oracle.Semantics) { s.Rotate = rotate })
	}
	order := func(id, title string, from func(d int) int, after bool) Hypothesis {
		move := func(x oracle.Rows, _ tap.Dims) oracle.Rows {
			return permuted(x, func(i int) int { return i/x.Width*x.Width + from(i%x.Width) })
		}
		h := Hypothesis{ID: id, Aspect: "pairing", Taps: ropeTaps, Title: title, Fix: neox, Variant: feedsAll(move)}
		if after {
			h.Variant = yields(move)
		}
		return h
	}
	toHalves := func(d int) int { return d%half*2 + d/half }
	toNeighbours := func(d int) int { return d%2*half + d/2 }
	return append([]Hypothesis{
		change("pairing", "rope-interleaved-pairs", "RoPE turns neighbouring dims (2i, 2i+1) instead of (i, i+D/2)",
			"Qwen2 is a NEOX model: pair dim i with dim i+D/2.", func(s *oracle.Semantics) { s.Pairing = oracle.Interleaved }),
		order("rope-reads-neighbours-writes-halves", "pairs are read as neighbours (2i, 2i+1) and written as halves (i, i+D/2)", toHalves, false),
		order("rope-reads-halves-writes-neighbours", "pairs are read as halves (i, i+D/2) and written as neighbours (2i, 2i+1)", toNeighbours, true),
		order("rope-second-dim-one-behind", "dim i turns with dim i+D/2-1", func(d int) int { return d - d/half }, false),
		order("rope-second-dim-one-ahead", "dim i turns with dim i+D/2+1", func(d int) int { return d + d/half }, false),
		change("turns", "rope-backwards", "RoPE turns the wrong way",
			"The sine carries the sign: a' = a cos - b sin, b' = a sin + b cos.", func(s *oracle.Semantics) { s.RopeTurns = -1 }),
		change("turns", "rope-not-applied", "RoPE is not applied",
			"Rotate Q and K, both, before the cache write and the scores.", func(s *oracle.Semantics) { s.RopeTurns = 0 }),
		change("turns", "rope-applied-twice", "RoPE is applied twice",
			"Rotate once: look for a second launch, or an in-place kernel that runs over its own output.",
			func(s *oracle.Semantics) { s.RopeTurns = 2 }),
		turned("rope-in-place-hazard", "the second dim of a pair is computed from the first one's new value",
			func(a, b, sin, cos float64) (float64, float64) { a = a*cos - b*sin; return a, a*sin + b*cos }),
		turned("rope-sin-cos-swapped", "sine and cosine have changed places",
			func(a, b, sin, cos float64) (float64, float64) { return a*sin - b*cos, a*cos + b*sin }),
		turned("rope-first-sign", "the first line adds b sin instead of subtracting it",
			func(a, b, sin, cos float64) (float64, float64) { return a*cos + b*sin, a*sin + b*cos }),
		turned("rope-second-sign", "the second line subtracts a sin instead of adding it",
			func(a, b, sin, cos float64) (float64, float64) { return a*cos - b*sin, b*cos - a*sin }),
		turned("rope-second-cosine-sign", "the second line subtracts b cos instead of adding it",
			func(a, b, sin, cos float64) (float64, float64) { return a*cos - b*sin, a*sin - b*cos }),
		turned("rope-sine-only", "only the sine is applied",
			func(a, b, sin, _ float64) (float64, float64) { return -b * sin, a * sin }),
		turned("rope-cosine-only", "only the cosine is applied",
			func(a, b, _, cos float64) (float64, float64) { return a * cos, b * cos }),
		turned("rope-first-dims-only", "only the first dim of each pair is written",
			func(a, b, sin, cos float64) (float64, float64) { return a*cos - b*sin, b }),
		change("dims", "rope-half-the-dims", "only the first half of the pairs turns",
			"All D/2 pairs turn in Qwen2; there is no partial rotary factor.",
			func(s *oracle.Semantics) { limitAngle(s, func(_, i int) bool { return i < half/2 }) }),
		change("dims", "rope-partial-dims", "RoPE treats the first D/2 dims of each head as a head of their own",
			"Pass head_dim as the number of rotated dims.", func(s *oracle.Semantics) { s.RopeDims /= 2 }),
		change("dims", "rope-last-pair-left-out", "the last pair of each head does not turn",
			"The loop runs over all D/2 pairs.", func(s *oracle.Semantics) { limitAngle(s, func(_, i int) bool { return i < half-1 }) }),
		change("heads", "rope-first-head-only", "only the first head turns",
			"Rotate every head.", func(s *oracle.Semantics) { limitAngle(s, func(h, _ int) bool { return h == 0 }) }),
		change("heads", "rope-kv-heads-only", "only as many heads turn as there are KV heads",
			"Q has n_head heads, K has n_head_kv: pass each its own number.",
			func(s *oracle.Semantics) { limitAngle(s, func(h, _ int) bool { return h < m.Dims.G }) }),
		change("heads", "rope-not-on-last-head", "the last head does not turn",
			"Rotate every head.", func(s *oracle.Semantics) {
				limitAngle(s, func(h, _ int) bool { return h+1 < m.Dims.H && (m.Dims.G == m.Dims.H || h+1 != m.Dims.G) })
			}),
	}, rotationInputMistakes(m)...)
}

// limitAngle leaves pairs unturned.
func limitAngle(s *oracle.Semantics, turns func(head, i int) bool) {
	was := *s
	s.Angle = func(p, h, i int) float64 {
		if !turns(h, i) {
			return 0
		}
		return was.Theta(p, h, i)
	}
}

// rotationInputMistakes rotate something else, or do more than rotate.
func rotationInputMistakes(m Model) []Hypothesis {
	input := func(id, title, fix string, taps []tap.Tap, other func(of, in tap.Key) tap.Key) Hypothesis {
		return Hypothesis{ID: id, Aspect: "input", Taps: taps, Title: title, Fix: fix, Variant: reads(other)}
	}
	q, k := []tap.Tap{tap.QRope}, []tap.Tap{tap.KRope}
	biasFirst := "Add the bias first, then rotate."
	return []Hypothesis{
		input("rope-before-bias", "the projection is rotated without its bias", biasFirst, q, tapOf(tap.QProj)),
		input("rope-before-bias", "the projection is rotated without its bias", biasFirst, k, tapOf(tap.KProj)),
		input("rope-of-v", "the values are rotated instead of the keys", "Rotate k_bias.", k, tapOf(tap.VBias)),
		input("rope-of-layer-before", "the layer before's projection is rotated", "Rotate this layer's projection.", ropeTaps, layersBack(1)),
		{ID: "rope-then-bias", Aspect: "bias", Taps: ropeTaps, Title: "the bias is added once more, after the rotation", Fix: biasFirst,
			Variant: addsBias(m)},
		{ID: "rope-scales-by-score-scale", Aspect: "scale", Taps: ropeTaps, Title: "the rotated heads are scaled by 1/sqrt(head_dim)",
			Fix:     "Scale once, in the softmax: here raw q.k is recorded and scaled later.",
			Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows { return multiplied(y, m.Right.ScoreScale) })},
	}
}
