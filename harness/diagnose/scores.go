package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/half"
	"attndiff/traces/tap"
)

// scoreMistakes are the mistakes people make in q.k, beside the head map.
func scoreMistakes(m Model) []Hypothesis {
	out := append(scoreInputMistakes(), keyOrderMistakes(m)...)
	out = append(out, queryOrderMistakes(m)...)
	out = append(out, scoreDimMistakes(m)...)
	return append(append(out, scoreOutputMistakes(m)...), earlyMaskMistakes(m)...)
}

var kqTaps = []tap.Tap{tap.KQ}

// scoreInputMistakes score other tensors.
func scoreInputMistakes() []Hypothesis {
	input := func(aspect, id, title, fix string, meant tap.Tap, other func(of, in tap.Key) tap.Key) Hypothesis {
		return Hypothesis{ID: id, Aspect: aspect, Taps: kqTaps, Title: title, Fix: fix, Variant: readsFor(meant, other)}
	}
	offset := "Offset the cache by layer * capacity * n_head_kv * head_dim, with this op's own layer."
	return []Hypothesis{
		input("keys", "scores-of-layer-before", "the keys of the layer before are read", offset, tap.KCache, layersBack(1)),
		input("keys", "scores-of-layer-0", "every layer reads the keys of layer 0", offset, tap.KCache,
			func(_, in tap.Key) tap.Key { return tap.At(in.Step, 0, in.Tap) }),
		input("keys", "scores-of-values", "scores read the V cache", "Check the order of the K and V pointers in the call.", tap.KCache, tapOf(tap.VCache)),
		{ID: "scores-before-cache-write", Aspect: "keys", Taps: kqTaps, Title: "a step's keys reach the cache only after its scores are computed",
			Fix: "Write the cache before the scores, on the same stream.",
			Variant: feeds(tap.KCache, func(x oracle.Rows, d tap.Dims) oracle.Rows {
				return undefinedWhere(x, func(i int) bool { return i >= d.P*d.G*d.D })
			})},
		input("queries", "scores-of-unrotated-queries", "queries are scored before they are rotated", "Score q_rope.", tap.QRope, tapOf(tap.QBias)),
		input("queries", "scores-of-unbiased-queries", "queries are scored without bias and rotation", "Score q_rope.", tap.QRope, tapOf(tap.QProj)),
		input("queries", "scores-of-queries-of-layer-before", "the queries of the layer before are read", "Score this layer's q_rope.", tap.QRope, layersBack(1)),
	}
}

// keyOrderMistakes read the right cache at other places.
func keyOrderMistakes(m Model) []Hypothesis {
	return cacheReadMistakes(m, tap.KCache, kqTaps, "keys", "scores")
}

// cacheReadMistakes are the mistakes people make in reading a cache [C,G,D].
func cacheReadMistakes(m Model, cache tap.Tap, taps []tap.Tap, aspect, prefix string) []Hypothesis {
	d := m.Dims
	row := d.G * d.D
	read := func(id, title, fix string, at func(c, g, i, cells int) int) Hypothesis {
		return Hypothesis{ID: prefix + "-" + id, Aspect: aspect, Taps: taps, Title: title, Fix: fix,
			Variant: feeds(cache, func(x oracle.Rows, now tap.Dims) oracle.Rows {
				return permuted(x, func(i int) int { return at(i/row, i%row/d.D, i%d.D, now.C()) })
			})}
	}
	own := "Row c of the cache is position c."
	layout := fmt.Sprintf("The cache is [position, head, dim]: element (c,g,d) lies at (c*%d + g)*%d + d.", d.G, d.D)
	return []Hypothesis{
		read("one-row-ahead", "row c+1 is read where row c is meant", own, func(c, g, i, _ int) int { return ((c+1)*d.G+g)*d.D + i }),
		read("one-row-behind", "row c-1 is read where row c is meant", own, func(c, g, i, _ int) int { return ((c-1)*d.G+g)*d.D + i }),
		read("transposed", "the cache is read as [G,D,C] although it is stored [C,G,D]", layout,
			func(c, g, i, cells int) int { return (g*d.D+i)*cells + c }),
		read("heads-outermost", "the cache is read as [G,C,D] although it is stored [C,G,D]", layout,
			func(c, g, i, cells int) int { return (g*cells+c)*d.D + i }),
		read("dims-before-heads", "within a position, the cache is read as [D,G] instead of [G,D]", layout,
			func(c, g, i, _ int) int { return c*row + i*d.G + g }),
		read("row-of-one-head", "rows are taken to be head_dim elements long", layout, func(c, g, i, _ int) int { return (c+g)*d.D + i }),
		read("row-of-query-heads", "rows are taken to be n_head * head_dim elements long", layout, func(c, g, i, _ int) int { return (c*d.H+g)*d.D + i }),
		read("rows-reversed", "rows are read last one first", own, func(c, g, i, cells int) int { return ((cells-1-c)*d.G+g)*d.D + i }),
		read("first-row-for-all", "row 0 is read for every position", own, func(_, g, i, _ int) int { return g*d.D + i }),
		{ID: prefix + "-this-step-only", Aspect: aspect, Taps: taps, Title: "only this step's rows are read, those of earlier steps are not", Fix: own,
			Variant: feeds(cache, func(x oracle.Rows, now tap.Dims) oracle.Rows {
				return zeroWhere(x, func(i int) bool { return i < now.P*row })
			})},
		{ID: prefix + "-earlier-steps-only", Aspect: aspect, Taps: taps, Title: "only earlier steps' rows are read, this one's count as zeros", Fix: own,
			Variant: feeds(cache, func(x oracle.Rows, now tap.Dims) oracle.Rows {
				return zeroWhere(x, func(i int) bool { return i >= now.P*row })
			})},
	}
}

// queryOrderMistakes read queries [T,H,D] in another order.
func queryOrderMistakes(m Model) []Hypothesis {
	d := m.Dims
	order := func(id, title string, at func(t, h, i, n int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "queries", Taps: kqTaps, Title: title, Fix: "Queries are [token, head, dim]: element (t,h,d) lies at (t*H + h)*D + d.",
			Variant: feeds(tap.QRope, func(x oracle.Rows, now tap.Dims) oracle.Rows {
				return permuted(x, func(i int) int { return at(i/d.D/d.H, i/d.D%d.H, i%d.D, now.T) })
			})}
	}
	return []Hypothesis{
		order("scores-queries-heads-outermost", "queries are read as [H,T,D] although they are stored [T,H,D]", func(t, h, i, n int) int { return (h*n+t)*d.D + i }),
		order("scores-queries-heads-innermost", "a token's queries are read as [D,H] instead of [H,D]", func(t, h, i, _ int) int { return t*d.H*d.D + i*d.H + h }),
		order("scores-query-rows-of-kv-heads", "tokens' queries are taken to lie n_head_kv heads apart instead of n_head", func(t, h, i, _ int) int { return (t*d.G+h)*d.D + i }),
		order("scores-query-rows-of-one-head", "tokens' queries are taken to lie one head apart instead of n_head", func(t, h, i, _ int) int { return (t+h)*d.D + i }),
		order("scores-queries-reversed", "query heads are read last one first", func(t, h, i, _ int) int { return (t*d.H+d.H-1-h)*d.D + i }),
		order("scores-first-query-for-all", "every token reads the step's first query", func(_, h, i, _ int) int { return h*d.D + i }),
		order("scores-query-of-token-before", "every token reads the query of the token before it", func(t, h, i, _ int) int { return ((t-1)*d.H+h)*d.D + i }),
		order("scores-first-head-for-all", "every head reads query head 0", func(t, _, i, _ int) int { return t*d.H*d.D + i }),
	}
}

// scoreDimMistakes leave dims out of the dot product, or round.
func scoreDimMistakes(m Model) []Hypothesis {
	dim := m.Dims.D
	var out []Hypothesis
	dims := func(id, title string, in func(i int) bool) {
		out = append(out, Hypothesis{ID: id, Aspect: "dims", Taps: kqTaps, Title: title, Fix: "The dot product runs over all head_dim dims.",
			Variant: feeds(tap.QRope, func(x oracle.Rows, _ tap.Dims) oracle.Rows {
				return zeroWhere(x, func(i int) bool { return !in(i % dim) })
			})})
	}
	dims("scores-every-second-dim", "the dot product runs over every second dim only", func(i int) bool { return i%2 == 0 })
	dims("scores-odd-dims", "the dot product runs over the odd dims only", func(i int) bool { return i%2 == 1 })
	for _, n := range distinct([]int{dim / 2, 32, dim - 1, dim / 4, 16, 48, 8, dim - 4, dim - 2, 4, dim - 8, dim - 16}, func(n int) bool { return n > 0 && n < dim }) {
		dims(fmt.Sprintf("scores-first-%d-dims", n), fmt.Sprintf("the dot product runs over the first %d dims only", n), func(i int) bool { return i < n })
	}
	dims("scores-second-half-of-dims", "the dot product runs over the second half of the dims only", func(i int) bool { return i >= dim/2 })
	dims("scores-without-first-dim", "the dot product leaves out dim 0", func(i int) bool { return i > 0 })
	dims("scores-every-fourth-dim", "the dot product runs over every fourth dim only", func(i int) bool { return i%4 == 0 })
	out = append(out, accumulations(kqTaps)...)
	for _, r := range roundings {
		for _, in := range []struct {
			tap  tap.Tap
			name string
		}{{tap.QRope, "queries"}, {tap.KCache, "keys"}} {
			out = append(out, Hypothesis{ID: "scores-" + in.name + "-in-" + r.name, Aspect: in.name + " type", Taps: kqTaps,
				Title: in.name + " are rounded to " + r.name + " before the dot product", Fix: "Stage operands in f32.",
				Variant: feeds(in.tap, func(x oracle.Rows, _ tap.Dims) oracle.Rows { return r.apply(x) })})
		}
	}
	return out
}

// accumulations keep a running sum in a narrow type.
func accumulations(taps []tap.Tap) []Hypothesis {
	var out []Hypothesis
	for _, r := range roundings {
		out = append(out, Hypothesis{ID: r.name + "-accumulation", Aspect: "accumulation", Taps: taps,
			Title: "products are summed in " + r.name, Fix: "Accumulate in f32.",
			Variant: semantic(func(s *oracle.Semantics) {
				s.Accumulate = func(sum, v float64) float64 { return r.to(sum + v) }
			})})
	}
	return append(out, Hypothesis{ID: "f16-products", Aspect: "accumulation", Taps: taps,
		Title: "products and sums are both rounded to f16", Fix: "Multiply and accumulate in f32.",
		Variant: semantic(func(s *oracle.Semantics) {
			s.Accumulate = func(sum, v float64) float64 {
				return float64(half.RoundF16(half.RoundF16(float32(v)) + float32(sum)))
			}
		})})
}

// earlyMaskMistakes hide what a token does not see where its scores are
// computed; the raw scores owe those too.
func earlyMaskMistakes(m Model) []Hypothesis {
	var out []Hypothesis
	for _, v := range []float64{math.Inf(-1), 0, -1e9, -1e4, -math.MaxFloat32, -1e30, -1e10, -1e6, -1e5, -65504, -100} {
		by := float64(float32(v))
		out = append(out, Hypothesis{ID: fmt.Sprintf("scores-masked-early-with-%g", v), Aspect: "mask", Taps: kqTaps,
			Title: fmt.Sprintf("scores of positions after the token's own are set to %g where they are computed", v),
			Fix:   "Mask once, in the softmax: raw scores have no mask.",
			Variant: yields(func(y oracle.Rows, d tap.Dims) oracle.Rows {
				return mapped(y, func(i int, x float64) float64 {
					if !m.Right.Visible(d.P, i/d.C()%d.T, i%d.C()) {
						return by
					}
					return x
				})
			})})
	}
	return out
}

// scoreOutputMistakes scale scores too early or write them elsewhere.
func scoreOutputMistakes(m Model) []Hypothesis {
	d := m.Dims
	var out []Hypothesis
	scale := func(id, title string, by float64) {
		out = append(out, Hypothesis{ID: id, Aspect: "scale", Taps: kqTaps, Title: title, Fix: "Scale once: here raw q.k, 1/sqrt(head_dim) in the softmax.",
			Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows { return multiplied(y, by) })})
	}
	s := m.Right.ScoreScale
	scale("scores-scaled-early", "the scores are scaled by 1/sqrt(head_dim) where they are computed, and again in the softmax", s)
	scale("scores-over-head-dim", "the scores are divided by head_dim", s*s)
	scale("scores-times-sqrt-head-dim", "the scores are multiplied by sqrt(head_dim)", 1/s)
	scale("scores-over-sqrt-width", "the scores are divided by sqrt(n_embd)", 1/math.Sqrt(float64(d.E)))
	scale("scores-times-log2e", "the scores are multiplied by log2(e), as for a base-2 exponential", math.Log2E)
	scale("scores-scaled-early-for-base-2", "the scores are multiplied by log2(e)/sqrt(head_dim), as for a base-2 exponential", s*math.Log2E)
	written := func(id, title string, to func(h, t, c, n, cells int) int) {
		out = append(out, Hypothesis{ID: id, Aspect: "written", Taps: kqTaps, Title: title, Fix: "Score (h,t,c) belongs at (h*T + t)*C + c, and every one must be written.",
			Variant: yields(func(y oracle.Rows, now tap.Dims) oracle.Rows {
				n, cells := now.T, now.C()
				return scattered(y, func(i int) int { return to(i/cells/n, i/cells%n, i%cells, n, cells) })
			})})
	}
	written("scores-row-stride-of-tokens", "rows of scores lie T apart instead of C", func(h, t, c, n, _ int) int { return (h*n+t)*n + c })
	written("scores-tokens-outermost", "scores are written [T,H,C] instead of [H,T,C]", func(h, t, c, _, cells int) int { return (t*d.H+h)*cells + c })
	written("scores-transposed", "scores are written [H,C,T] instead of [H,T,C]", func(h, t, c, n, cells int) int { return (h*cells+c)*n + t })
	written("scores-heads-innermost", "scores are written [T,C,H] instead of [H,T,C]", func(h, t, c, _, cells int) int { return (t*cells+c)*d.H + h })
	for _, by := range []int{-1, 1} {
		written(fmt.Sprintf("scores-row-stride-%+d", by), fmt.Sprintf("C is one too %s: rows of scores lie C%+d apart, and positions are counted with it", map[int]string{-1: "small", 1: "large"}[by], by),
			func(h, t, c, n, cells int) int {
				if c >= cells+by {
					return -1
				}
				return (h*n+t)*(cells+by) + c
			})
	}
	for _, tile := range []int{32, 64, 16, 8, 128, 256, 4} {
		written(fmt.Sprintf("scores-position-tile-of-%d", tile), fmt.Sprintf("positions in the last, partial tile of %d get no score", tile),
			func(h, t, c, n, cells int) int {
				if c >= cells/tile*tile {
					return -1
				}
				return (h*n+t)*cells + c
			})
		out[len(out)-1].Leaves = true
		written(fmt.Sprintf("scores-token-tile-of-%d", tile), fmt.Sprintf("tokens in the last, partial tile of %d get no scores", tile),
			func(h, t, c, n, cells int) int {
				if t >= n/tile*tile {
					return -1
				}
				return (h*n+t)*cells + c
			})
		out[len(out)-1].Leaves = true
	}
	written("scores-last-position-missing", "the last position gets no score", func(h, t, c, n, cells int) int {
		if c+1 == cells {
			return -1
		}
		return (h*n+t)*cells + c
	})
	out[len(out)-1].Leaves = true
	return out
}
