package diagnose

import (
	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// cacheTaps are the taps of the KV cache.
var cacheTaps = []tap.Tap{tap.KCache, tap.VCache}

// cacheRowMistakes are the mistakes people make in where the cache keeps a
// token's row. The writes of the whole run are replayed, since a row written
// to the wrong place shows in later steps.
func cacheRowMistakes(m Model) []Hypothesis {
	row := func(id, title, fix string, f func(past, t, n int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "row", Taps: cacheTaps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) {
				s.CacheWrite = func(layer, past, t, n int) oracle.Slot { return oracle.Slot{Layer: layer, Row: f(past, t, n)} }
			})}
	}
	layer := func(id, title, fix string, write func(layer, past, t, n int) oracle.Slot, read func(layer, p, cells int) oracle.Slot) Hypothesis {
		return Hypothesis{ID: id, Aspect: "row", Taps: cacheTaps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) { s.CacheWrite, s.CacheRead = write, read })}
	}
	own := "Token t of a step belongs in row past+t, past being the number of tokens cached before the step."
	offset := "Offset the layer by layer * capacity * n_head_kv * head_dim on writing as on reading."
	never := -1
	return []Hypothesis{
		row("cache-row-one-ahead", "rows are written one position too far; the first row is never written", own,
			func(past, t, _ int) int { return past + t + 1 }),
		row("cache-row-one-behind", "rows are written one position too early; the first one is lost", own,
			func(past, t, _ int) int { return past + t - 1 }),
		row("cache-row-restarts", "every step writes from row 0", own, func(_, t, _ int) int { return t }),
		row("cache-not-written-in-decode", "decode steps do not append their row", "Write K and V in every step, not in the prefill alone.",
			func(past, t, _ int) int {
				if past > 0 {
					return never
				}
				return t
			}),
		row("cache-overwrites-last-row", "decode overwrites the row of the token before it", own,
			func(past, t, _ int) int {
				if past > 0 {
					return past - 1 + t
				}
				return t
			}),
		row("cache-row-one-ahead-in-decode", "decode leaves a gap of one row", own,
			func(past, t, _ int) int {
				if past > 0 {
					return past + 1 + t
				}
				return t
			}),
		row("cache-not-written-in-prefill", "the prefill's rows are not written", "Write K and V in every step, not in decode alone.",
			func(past, t, _ int) int {
				if past == 0 {
					return never
				}
				return past + t
			}),
		row("cache-rows-reversed", "the rows of a step are written last token first", own,
			func(past, t, n int) int { return past + n - 1 - t }),
		row("cache-one-row-per-step", "all tokens of a step are written to its first row", own, func(past, _, _ int) int { return past }),
		row("cache-last-token-only", "only the last token of a step is written", "Write all T rows of the step.",
			func(past, t, n int) int {
				if t+1 < n {
					return never
				}
				return past + t
			}),
		row("cache-first-token-only", "only the first token of a step is written", "Write all T rows of the step.",
			func(past, t, _ int) int {
				if t > 0 {
					return never
				}
				return past
			}),
		row("cache-last-token-missing", "the last token of a step is not written", "Write all T rows of the step.",
			func(past, t, n int) int {
				if t+1 == n {
					return never
				}
				return past + t
			}),
		row("cache-rows-spread", "rows lie two positions apart", "A row has n_head_kv * head_dim elements.",
			func(past, t, _ int) int { return 2 * (past + t) }),
		layer("cache-all-layers-in-layer-0", "every layer writes its rows into layer 0", offset,
			func(_, past, t, _ int) oracle.Slot { return oracle.Slot{Layer: 0, Row: past + t} }, nil),
		layer("cache-layers-share-rows", "all layers write and read the same rows", offset,
			func(_, past, t, _ int) oracle.Slot { return oracle.Slot{Layer: 0, Row: past + t} },
			func(_, p, _ int) oracle.Slot { return oracle.Slot{Layer: 0, Row: p} }),
		layer("cache-layer-before", "each layer writes its rows into the layer before", offset,
			func(l, past, t, _ int) oracle.Slot { return oracle.Slot{Layer: l - 1, Row: past + t} }, nil),
		layer("cache-next-layer", "each layer writes its rows into the next layer", offset,
			func(l, past, t, _ int) oracle.Slot { return oracle.Slot{Layer: l + 1, Row: past + t} }, nil),
		layer("cache-layer-stride-of-length", "layers lie as many positions apart as are cached, so they move as the text grows",
			"The distance between layers is the cache's capacity, which stays, not its current length.",
			func(l, past, t, n int) oracle.Slot { return oracle.Slot{Row: l*(past+n) + past + t} },
			func(l, p, cells int) oracle.Slot { return oracle.Slot{Row: l*cells + p} }),
		layer("cache-layer-stride-of-past", "layers lie as many positions apart as were cached before the step",
			"The distance between layers is the cache's capacity, which stays, not its current length.",
			func(l, past, t, _ int) oracle.Slot { return oracle.Slot{Row: l*past + past + t} },
			func(l, p, cells int) oracle.Slot { return oracle.Slot{Row: l*(cells-1) + p} }),
		{ID: "cache-cleared-each-step", Aspect: whole, Taps: cacheTaps,
			Title: "the rows of earlier steps are lost", Fix: "Allocate and clear the cache once per sequence, not in every step.",
			Variant: yields(func(y oracle.Rows, d tap.Dims) oracle.Rows {
				return undefinedWhere(y, func(i int) bool { return i < d.P*d.G*d.D })
			})},
	}
}
