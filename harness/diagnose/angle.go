package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
)

// angleMistakes are the mistakes people make in RoPE's angle: frequency and
// position.
func angleMistakes(m Model) []Hypothesis {
	return append(append(frequencyMistakes(m), positionMistakes(m)...), anglePrecisionMistakes()...)
}

// angleOf is a mistake that computes theta of a pair anew.
func angleOf(aspect, id, title, fix string, theta func(s oracle.Semantics, p, h, i int) float64) Hypothesis {
	return Hypothesis{ID: id, Aspect: aspect, Taps: ropeTaps, Title: title, Fix: fix,
		Variant: semantic(func(s *oracle.Semantics) {
			was := *s
			s.Angle = func(p, h, i int) float64 { return theta(was, p, h, i) }
		})}
}

// frequencyMistakes are those in base^(-2i/D).
func frequencyMistakes(m Model) []Hypothesis {
	d := m.Dims
	half := d.D / 2
	var out []Hypothesis
	base := func(id, title, fix string, b float64) {
		if math.Abs(b-m.Right.RopeBase) <= oracle.UnitF32*b {
			return
		}
		out = append(out, Hypothesis{ID: id, Aspect: "frequency", Taps: ropeTaps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) { s.RopeBase = b })})
	}
	read := "Read the base from qwen2.rope.freq_base; 10000 is only the default of models that do not set it."
	for _, b := range []float64{1e4, 5e5, 1e5, 1e6, 1e7} {
		base(fmt.Sprintf("rope-base-%.0f", b), fmt.Sprintf("RoPE's base is %.0f, not the model's", b), read, b)
	}
	for _, alpha := range []float64{2, 4, 8} {
		base(fmt.Sprintf("rope-ntk-%.0f", alpha), fmt.Sprintf("the base is stretched as by NTK scaling with factor %.0f", alpha),
			"The model's context needs no scaling; take the base as it is.",
			m.Right.RopeBase*math.Pow(alpha, float64(d.D)/float64(d.D-2)))
	}
	power := func(id, title, fix string, exponent func(h, i int) float64) {
		out = append(out, angleOf("frequency", id, title, fix, func(s oracle.Semantics, p, h, i int) float64 {
			return float64(p) * math.Pow(s.RopeBase, -exponent(h, i))
		}))
	}
	width := float64(d.D)
	pairs := "i counts pairs within a head: the exponent is -2i/head_dim."
	power("rope-exponent-halved", "frequencies fall as base^(-i/D) instead of base^(-2i/D)", pairs,
		func(_, i int) float64 { return float64(i) / width })
	power("rope-index-across-heads", "the frequency index runs on across heads",
		"Use the pair's index within its head, not in the whole row.", func(h, i int) float64 { return 2 * float64(h*half+i) / width })
	power("rope-exponent-doubled", "frequencies fall as base^(-4i/D) instead of base^(-2i/D)", pairs,
		func(_, i int) float64 { return 4 * float64(i) / width })
	power("rope-exponent-over-width", "the exponent is divided by n_embd instead of head_dim", pairs,
		func(_, i int) float64 { return 2 * float64(i) / float64(d.E) })
	power("rope-exponent-over-kv-width", "the exponent is divided by the KV width instead of head_dim", pairs,
		func(_, i int) float64 { return 2 * float64(i) / float64(d.G*d.D) })
	power("rope-pairs-from-one", "pairs are counted from 1: the first turns as the second should", pairs,
		func(_, i int) float64 { return 2 * float64(i+1) / width })
	power("rope-frequencies-reversed", "frequencies are in reverse: the last pair turns fastest", pairs,
		func(_, i int) float64 { return 2 * float64(half-1-i) / width })
	power("rope-frequencies-rise", "frequencies rise as base^(2i/D)", "The exponent is negative.",
		func(_, i int) float64 { return -2 * float64(i) / width })
	power("rope-one-frequency", "all pairs turn at one frequency", pairs, func(int, int) float64 { return 0 })
	power("rope-exponent-over-dims-less-two", "the exponent is divided by head_dim-2, which spreads the frequencies to 1/base", pairs,
		func(_, i int) float64 { return 2 * float64(i) / (width - 2) })
	power("rope-frequency-of-every-dim", "neighbouring pairs share a frequency: the index is halved", pairs,
		func(_, i int) float64 { return 2 * float64(i/2) / width })
	return out
}

// positionMistakes are those in the position that a token is rotated by.
func positionMistakes(m Model) []Hypothesis {
	prompt := 0
	if len(m.Steps) > 0 {
		prompt = m.Steps[0]
	}
	starts := map[int]int{} // number of a step by the tokens cached before it
	past := 0
	for step, n := range m.Steps {
		starts[past] = step
		past += n
	}
	position := func(id, title, fix string, f func(past, t, n int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "position", Taps: ropeTaps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) { s.Position = f })}
	}
	own := "Token t of a step stands at position past+t."
	out := []Hypothesis{
		position("rope-position-one-ahead", "positions start at 1", "The first token of the sequence has position 0.",
			func(past, t, _ int) int { return past + t + 1 }),
		position("rope-position-one-behind", "positions are one too small", own, func(past, t, _ int) int { return past + t - 1 }),
		position("rope-position-not-advanced", "the position starts again at 0 in every step",
			"Add the number of cached tokens to the position: past+t.", func(_, t, _ int) int { return t }),
		position("rope-position-frozen", "decode steps are all rotated by the first one's position",
			"Advance the position with every decoded token.", func(past, t, _ int) int {
				if past > prompt {
					past = prompt
				}
				return past + t
			}),
		position("rope-position-constant", "all tokens of a step are rotated to the step's first position",
			"Each token has its own position: past+t.", func(past, _, _ int) int { return past }),
		position("rope-position-of-last", "all tokens of a step are rotated to the step's last position",
			"Each token has its own position: past+t.", func(past, _, n int) int { return past + n - 1 }),
		position("rope-position-counts-steps", "the position counts steps instead of tokens",
			"Advance by the number of tokens of each step.", func(past, t, _ int) int { return starts[past] + t }),
		position("rope-positions-reversed", "the tokens of a step are rotated last one first", own,
			func(past, t, n int) int { return past + n - 1 - t }),
		position("rope-position-counts-past-twice", "cached tokens are counted twice", own, func(past, t, _ int) int { return 2*past + t }),
		position("rope-position-zero-in-decode", "decoded tokens are rotated by position 0 or their step's offset of the prompt", own,
			func(past, t, _ int) int {
				if past > 0 {
					return past - prompt + t
				}
				return t
			}),
		position("rope-position-after-step", "positions are those after the step: past+n+t", own, func(past, t, n int) int { return past + n + t }),
	}
	for _, by := range []float64{2, 4, 8, 0.5} {
		out = append(out, angleOf("position", fmt.Sprintf("rope-position-over-%g", by), fmt.Sprintf("positions are divided by %g (linear scaling)", by),
			"The model's context needs no scaling.", func(s oracle.Semantics, p, h, i int) float64 { return s.Theta(p, h, i) / by }))
	}
	return append(out,
		angleOf("position", "rope-position-of-head", "heads are rotated by their own index instead of the token's position",
			"The position is the token's; check which grid axis is which.",
			func(s oracle.Semantics, _, h, i int) float64 { return s.Theta(h, h, i) }),
		angleOf("position", "rope-position-plus-head", "the head's index is added to the position",
			"The position is the token's alone.", func(s oracle.Semantics, p, h, i int) float64 { return s.Theta(p+h, h, i) }),
		angleOf("position", "rope-angle-in-degrees", "angles are taken as degrees", "sin and cos take radians.",
			func(s oracle.Semantics, p, h, i int) float64 { return s.Theta(p, h, i) * math.Pi / 180 }))
}

// anglePrecisionMistakes keep the angle, or what comes of it, in a narrow type.
func anglePrecisionMistakes() []Hypothesis {
	fix := "Compute angles in f32 at least: at position 1000 an f16 angle is off by half a radian."
	var out []Hypothesis
	for _, r := range roundings {
		out = append(out,
			angleOf("angle type", "rope-angle-in-"+r.name, "the angle is rounded to "+r.name, fix,
				func(s oracle.Semantics, p, h, i int) float64 { return r.to(s.Theta(p, h, i)) }),
			angleOf("angle type", "rope-frequency-in-"+r.name, "the frequency is rounded to "+r.name+" before it meets the position", fix,
				func(s oracle.Semantics, p, h, i int) float64 { return float64(p) * r.to(s.Theta(1, h, i)) }),
			Hypothesis{ID: "rope-sin-cos-in-" + r.name, Aspect: "angle type", Taps: ropeTaps,
				Title: "sine and cosine are rounded to " + r.name, Fix: "Keep the table of sines and cosines in f32.",
				Variant: semantic(func(s *oracle.Semantics) {
					was := s.Rotate
					s.Rotate = func(a, b, sin, cos float64) (float64, float64) {
						sin, cos = r.to(sin), r.to(cos)
						if was != nil {
							return was(a, b, sin, cos)
						}
						return a*cos - b*sin, a*sin + b*cos
					}
				})})
	}
	return out
}
