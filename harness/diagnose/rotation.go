package diagnose

import (
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// rotations are the mistakes people make in RoPE.
func rotations(m Model) []Hypothesis {
	taps := []tap.Tap{tap.QRope, tap.KRope}
	half := m.Dims.D / 2
	return []Hypothesis{
		{ID: "rope-interleaved-pairs", Aspect: "pairing", Taps: taps,
			Title:   "RoPE turns neighbouring dims (2i, 2i+1) instead of (i, i+D/2)",
			Fix:     "Qwen2 is a NEOX model: pair dim i with dim i+D/2.",
			Variant: semantic(func(s *oracle.Semantics) { s.Pairing = oracle.Interleaved })},
		{ID: "rope-base-10000", Aspect: "frequency", Taps: taps,
			Title:   "RoPE's base is 10000, not the model's",
			Fix:     "Read the base from qwen2.rope.freq_base; 10000 is only the default of models that do not set it.",
			Variant: semantic(func(s *oracle.Semantics) { s.RopeBase = 1e4 })},
		{ID: "rope-exponent-halved", Aspect: "frequency", Taps: taps,
			Title: "frequencies fall as base^(-i/D) instead of base^(-2i/D)",
			Fix:   "i counts pairs: the exponent is -2i/D.",
			Variant: semantic(func(s *oracle.Semantics) {
				base, dims := s.RopeBase, float64(s.RopeDims)
				s.Angle = func(p, _, i int) float64 { return float64(p) * math.Pow(base, -float64(i)/dims) }
			})},
		{ID: "rope-index-across-heads", Aspect: "frequency", Taps: taps,
			Title: "the frequency index runs on across heads",
			Fix:   "Use the pair's index within its head, not in the whole row.",
			Variant: semantic(func(s *oracle.Semantics) {
				base, dims := s.RopeBase, float64(s.RopeDims)
				s.Angle = func(p, h, i int) float64 {
					return float64(p) * math.Pow(base, -2*float64(h*half+i)/dims)
				}
			})},
		{ID: "rope-backwards", Aspect: "turns", Taps: taps,
			Title:   "RoPE turns the wrong way",
			Fix:     "The sine carries the sign: a' = a cos - b sin, b' = a sin + b cos.",
			Variant: semantic(func(s *oracle.Semantics) { s.RopeTurns = -1 })},
		{ID: "rope-not-applied", Aspect: "turns", Taps: taps,
			Title:   "RoPE is not applied",
			Fix:     "Rotate Q and K, both, before the cache write and the scores.",
			Variant: semantic(func(s *oracle.Semantics) { s.RopeTurns = 0 })},
		{ID: "rope-applied-twice", Aspect: "turns", Taps: taps,
			Title:   "RoPE is applied twice",
			Fix:     "Rotate once: look for a second launch, or an in-place kernel that runs over its own output.",
			Variant: semantic(func(s *oracle.Semantics) { s.RopeTurns = 2 })},
		{ID: "rope-half-the-dims", Aspect: "dims", Taps: taps,
			Title: "only the first half of the pairs turns",
			Fix:   "All D/2 pairs turn in Qwen2; there is no partial rotary factor.",
			Variant: semantic(func(s *oracle.Semantics) {
				base, dims := s.RopeBase, float64(s.RopeDims)
				s.Angle = func(p, _, i int) float64 {
					if i >= half/2 {
						return 0
					}
					return float64(p) * math.Pow(base, -2*float64(i)/dims)
				}
			})},
		{ID: "rope-partial-dims", Aspect: "dims", Taps: taps,
			Title:   "RoPE treats the first D/2 dims of each head as a head of their own",
			Fix:     "Pass head_dim as the number of rotated dims.",
			Variant: semantic(func(s *oracle.Semantics) { s.RopeDims /= 2 })},
		{ID: "rope-position-one-ahead", Aspect: "position", Taps: taps,
			Title:   "positions start at 1",
			Fix:     "The first token of the sequence has position 0.",
			Variant: semantic(func(s *oracle.Semantics) { s.Position = func(past, t, _ int) int { return past + t + 1 } })},
		{ID: "rope-position-one-behind", Aspect: "position", Taps: taps,
			Title:   "positions are one too small",
			Fix:     "Token t of a step stands at position past+t.",
			Variant: semantic(func(s *oracle.Semantics) { s.Position = func(past, t, _ int) int { return past + t - 1 } })},
		{ID: "rope-position-not-advanced", Aspect: "position", Taps: taps,
			Title:   "the position starts again at 0 in every step",
			Fix:     "Add the number of cached tokens to the position: past+t.",
			Variant: semantic(func(s *oracle.Semantics) { s.Position = func(_, t, _ int) int { return t } })},
		{ID: "rope-position-constant", Aspect: "position", Taps: taps,
			Title:   "all tokens of a step are rotated to the step's first position",
			Fix:     "Each token has its own position: past+t.",
			Variant: semantic(func(s *oracle.Semantics) { s.Position = func(past, _, _ int) int { return past } })},
	}
}
