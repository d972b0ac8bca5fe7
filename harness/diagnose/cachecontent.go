package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/half"
	"attndiff/traces/tap"
)

// cacheContentMistakes are the mistakes people make in what the cache keeps of
// a row: which tensor, in which order, in which type.
func cacheContentMistakes(m Model) []Hypothesis {
	return append(append(cacheSourceMistakes(m), cacheOrderMistakes(m)...), cacheTypeMistakes(m)...)
}

// freshTaps are what the cache is written from.
var freshTaps = []tap.Tap{tap.KRope, tap.VBias, tap.VProj}

// cacheSourceMistakes store another tensor.
func cacheSourceMistakes(m Model) []Hypothesis {
	k, v := []tap.Tap{tap.KCache}, []tap.Tap{tap.VCache}
	source := func(id, title, fix string, taps []tap.Tap, other tap.Tap, layersBack int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "source", Taps: taps, Title: title, Fix: fix,
			Variant: oracle.Variant{Read: func(_, in tap.Key) tap.Key {
				for _, fresh := range freshTaps {
					if in.Tap == fresh {
						t := other
						if layersBack > 0 {
							t = fresh
						}
						return tap.At(in.Step, layerOrNone(in.Layer-layersBack), t)
					}
				}
				return in
			}}}
	}
	turn := func(id, title, fix string, taps []tap.Tap, fresh tap.Tap) Hypothesis {
		return Hypothesis{ID: id, Aspect: "source", Taps: taps, Title: title, Fix: fix,
			Variant: feeds(fresh, func(x oracle.Rows, d tap.Dims) oracle.Rows {
				positions := make([]int, d.T)
				for t := range positions {
					positions[t] = d.P + t
				}
				return oracle.Rope(x, m.Dims.G, positions, m.Right)
			})}
	}
	token := func(id, title string, from func(t, n int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "token", Taps: cacheTaps, Title: title, Fix: "Row past+t holds token t of the step.",
			Variant: oracle.Variant{Feed: func(_, in tap.Key, x oracle.Rows, d tap.Dims) oracle.Rows {
				if in.Tap == tap.KCache || in.Tap == tap.VCache {
					return x
				}
				row := m.Dims.G * m.Dims.D
				return permuted(x, func(i int) int { return from(i/row, d.T)*row + i%row })
			}}}
	}
	return []Hypothesis{
		token("cache-first-token-for-all", "every row of a step holds its first token", func(int, int) int { return 0 }),
		token("cache-last-token-for-all", "every row of a step holds its last token", func(_, n int) int { return n - 1 }),
		token("cache-token-before", "every row holds the token before its own", func(t, _ int) int { return t - 1 }),
		source("cache-keeps-unrotated-keys", "keys are cached before they are rotated", "Rotate, then write the cache; nothing rotates on reading.", k, tap.KBias, 0),
		source("cache-keeps-values", "the K cache is written from the values", "Check the order of the K and V pointers in the call.", k, tap.VBias, 0),
		source("cache-keeps-keys", "the V cache is written from the rotated keys", "Check the order of the K and V pointers in the call.", v, tap.KRope, 0),
		source("cache-keeps-unrotated-keys", "the V cache is written from the unrotated keys", "Check the order of the K and V pointers in the call.", v, tap.KBias, 0),
		source("cache-written-before-bias", "keys are cached without bias and rotation", "Write the cache after bias and rotation.", k, tap.KProj, 0),
		source("cache-written-before-bias", "values are cached without their bias", "Add v's bias before the cache write.", v, tap.VProj, 0),
		source("cache-keeps-layer-before", "the layer before's rows are cached", "Write this layer's own rows.", cacheTaps, 0, 1),
		turn("cache-rotates-values", "values are rotated too before they are cached", "RoPE is for Q and K; V is cached as it is.", v, tap.VBias),
		turn("cache-rotates-keys-again", "keys are rotated once more on their way into the cache", "Rotate keys once.", k, tap.KRope),
	}
}

// cacheOrderMistakes store a row's heads and dims in another order.
func cacheOrderMistakes(m Model) []Hypothesis {
	d := m.Dims
	row, half := d.G*d.D, d.D/2
	order := func(id, title string, from func(j int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "order", Taps: cacheTaps, Title: title,
			Fix: "Store a position's heads one after the other: [position, head, dim].",
			Variant: oracle.Variant{Feed: func(_, in tap.Key, x oracle.Rows, _ tap.Dims) oracle.Rows {
				if in.Tap == tap.KCache || in.Tap == tap.VCache {
					return x // rows of earlier steps, as they were stored
				}
				return permuted(x, func(i int) int {
					j := from(i % row)
					if j < 0 {
						return -1
					}
					return i/row*row + j
				})
			}}}
	}
	// cell is where element i of head g at position pos goes; the layer holds
	// cells positions after the step, and capacity at the most.
	cell := func(id, title string, to func(pos, g, i, cells int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "row", Taps: cacheTaps, Title: title,
			Fix: "Store a position's heads one after the other: [position, head, dim].",
			Variant: semantic(func(s *oracle.Semantics) {
				s.CacheCell = func(past, t, n, j, _ int) int { return to(past+t, j/d.D, j%d.D, past+n) }
			})}
	}
	capacity := 0
	for _, n := range m.Steps {
		capacity += n
	}
	return []Hypothesis{
		order("cache-dims-before-heads", "within a position, heads and dims change places: [D,G] instead of [G,D]",
			func(j int) int { return j%d.G*d.D + j/d.G }),
		order("cache-heads-reversed", "a position's heads are stored last one first", func(j int) int { return (d.G-1-j/d.D)*d.D + j%d.D }),
		order("cache-first-head-for-all", "every head stores the first head's row", func(j int) int { return j % d.D }),
		order("cache-first-head-only", "only the first head is written", func(j int) int {
			if j >= d.D {
				return -1
			}
			return j
		}),
		order("cache-first-half-of-dims", "only the first half of each head is written", func(j int) int {
			if j%d.D >= half {
				return -1
			}
			return j
		}),
		order("cache-halves-to-neighbours", "dims are stored interleaved: (0, D/2, 1, D/2+1, ...)", func(j int) int { return j/d.D*d.D + j%2*half + j%d.D/2 }),
		order("cache-neighbours-to-halves", "even dims are stored first, then odd ones", func(j int) int { return j/d.D*d.D + j%d.D%half*2 + j%d.D/half }),
		cell("cache-heads-outermost", "the layer is written [G,C,D]: heads outermost, as many positions apart as are cached",
			func(pos, g, i, cells int) int { return (g*cells+pos)*d.D + i }),
		cell("cache-heads-outermost-at-capacity", "the layer is written [G,capacity,D]: heads outermost",
			func(pos, g, i, _ int) int { return (g*capacity+pos)*d.D + i }),
		cell("cache-positions-innermost", "the layer is written [G,D,C]: positions innermost, which leaves earlier rows where a shorter text had them",
			func(pos, g, i, cells int) int { return (g*d.D+i)*cells + pos }),
		cell("cache-positions-innermost-at-capacity", "the layer is written [G,D,capacity]: positions innermost",
			func(pos, g, i, _ int) int { return (g*d.D+i)*capacity + pos }),
		cell("cache-row-of-one-head", "rows are written head_dim elements apart, so that heads overwrite each other",
			func(pos, g, i, _ int) int { return (pos+g)*d.D + i }),
		cell("cache-row-of-query-heads", "rows are written n_head * head_dim elements apart",
			func(pos, g, i, _ int) int { return (pos*d.H+g)*d.D + i }),
		cell("cache-heads-one-dim-apart", "heads are written one element apart instead of head_dim",
			func(pos, g, i, _ int) int { return pos*row + g + i }),
	}
}

// cacheTypeMistakes narrow or scale values on their way into the cache.
func cacheTypeMistakes(m Model) []Hypothesis {
	var out []Hypothesis
	stored := func(id, title, fix string, f func(v float64) float64) {
		out = append(out, Hypothesis{ID: id, Aspect: "type", Taps: cacheTaps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) { s.Stored = f })})
	}
	round := "Convert f32 to the cache's type once, rounding to nearest even (__float2half_rn)."
	stored("cache-rounded-toward-zero", "values are truncated to f16 instead of rounded to nearest even", round, truncatedF16)
	stored("cache-rounded-to-bf16", "values pass through bf16 on their way into the cache", round,
		func(v float64) float64 { return float64(half.RoundBF16(float32(v))) })
	stored("cache-truncated-to-bf16", "values are cut to bf16's bits on their way into the cache", round,
		func(v float64) float64 { return float64(math.Float32frombits(math.Float32bits(float32(v)) &^ 0xffff)) })
	if m.KVType != "f16" {
		stored("cache-rounded-to-f16", "values pass through f16 on their way into an f32 cache", round,
			func(v float64) float64 { return float64(half.RoundF16(float32(v))) })
	}
	stored("cache-rounded-to-e4m3", "values pass through an 8-bit float (e4m3)", round, func(v float64) float64 { return toFloat8(v, 4, -6, 448) })
	stored("cache-rounded-to-e5m2", "values pass through an 8-bit float (e5m2)", round, func(v float64) float64 { return toFloat8(v, 3, -14, 57344) })
	for e := 15; e >= 4; e-- {
		by := math.Ldexp(1, e)
		stored(fmt.Sprintf("cache-overflow-of-scale-2^%d", e),
			fmt.Sprintf("values are scaled by 2^%d in f16 before they are stored: those of %g and more become Inf", e, 65504/by),
			"f16 ends at 65504: scale in f32, or not at all.",
			func(v float64) float64 { return float64(half.RoundF16(float32(v*by))) / by })
	}
	for _, limit := range []float64{1, 2, 4, 8, 16, 32, 64, 127, 128, 240, 448} {
		stored(fmt.Sprintf("cache-clamped-at-%g", limit), fmt.Sprintf("values are clamped to -%g and %g before they are stored", limit, limit),
			"The cache's type holds them as they are: do not clamp.", func(v float64) float64 { return math.Max(-limit, math.Min(limit, v)) })
	}
	for e := 3; e <= 10; e++ {
		by := math.Ldexp(1, e)
		stored(fmt.Sprintf("cache-fixed-point-of-1/%g", by), fmt.Sprintf("values are rounded to multiples of 1/%g before they are stored", by), round,
			func(v float64) float64 { return math.RoundToEven(v*by) / by })
	}
	scale := m.Right.ScoreScale
	stored("cache-scaled-by-score-scale", "values are scaled by 1/sqrt(head_dim) before they are stored",
		"Scale once, in the softmax.", func(v float64) float64 { return v * scale })
	out = append(out, Hypothesis{ID: "cache-rounded-to-q8", Aspect: "type", Taps: cacheTaps,
		Title: "values are quantised to 8 bits in blocks of 32", Fix: "The run asks for a cache of " + m.KVType + ".",
		Variant: oracle.Variant{Feed: func(_, in tap.Key, x oracle.Rows, _ tap.Dims) oracle.Rows {
			if in.Tap == tap.KCache || in.Tap == tap.VCache {
				return x
			}
			return quantised(x)
		}}})
	return out
}

// truncatedF16 is the f16 next to v on the side of zero.
func truncatedF16(v float64) float64 {
	f := half.RoundF16(float32(v))
	if math.Abs(float64(f)) > math.Abs(v) {
		f = half.FromF16(half.ToF16(f) - 1) // magnitude and bits fall together
	}
	return float64(f)
}

// toFloat8 rounds to an 8-bit float of so many significant bits, the smallest
// normal exponent and largest value.
func toFloat8(v float64, bits, least int, most float64) float64 {
	if _, e := math.Frexp(v); e-1 < least {
		step := math.Ldexp(1, least+1-bits)
		return math.RoundToEven(v/step) * step
	}
	return math.Max(-most, math.Min(most, toMantissa(v, bits)))
}

// quantised is Q8_0: blocks of 32 share a scale d = amax/127 kept in f16.
func quantised(x oracle.Rows) oracle.Rows {
	const block = 32
	return mapped(x, func(i int, v float64) float64 {
		lo := i / block * block
		amax := 0.0
		for _, w := range x.V[lo:min(lo+block, len(x.V))] {
			amax = math.Max(amax, math.Abs(w))
		}
		if amax == 0 {
			return 0
		}
		d := amax / 127
		return math.Round(v/d) * float64(half.RoundF16(float32(d)))
	})
}
