package diagnose

import (
	"fmt"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// lengths are the sizes that people give a cache, a table of angles or an index
// by mistake, those that a run is long enough to exceed.
func (m Model) lengths() []int {
	total := 0
	for _, n := range m.Steps {
		total += n
	}
	return distinct([]int{8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536},
		func(n int) bool { return n < total })
}

// lengthMistakes are those that show in a long text only: positions that wrap
// or end at some length.
func lengthMistakes(m Model) []Hypothesis {
	var out []Hypothesis
	whole := "Positions go on to the end of the text: look for a capacity, a mask of bits or a narrow integer type that ends at %d."
	row := m.Dims.G * m.Dims.D
	for _, n := range m.lengths() {
		fix := fmt.Sprintf(whole, n)
		add := func(id, title, aspect string, taps []tap.Tap, v oracle.Variant) {
			out = append(out, Hypothesis{ID: fmt.Sprintf("%s-%d", id, n), Aspect: aspect, Taps: taps, Title: fmt.Sprintf(title, n), Fix: fix, Variant: v})
		}
		position := func(f func(p int) int) oracle.Variant {
			return semantic(func(s *oracle.Semantics) { s.Position = func(past, t, _ int) int { return f(past + t) } })
		}
		add("rope-position-wraps-at", "positions wrap: token p is rotated by p mod %d", "position", ropeTaps, position(func(p int) int { return p % n }))
		add("rope-position-ends-at", "positions end: later tokens are rotated as the last of %d", "position", ropeTaps,
			position(func(p int) int { return min(p, n-1) }))
		written := func(f func(p int) int) oracle.Variant {
			return semantic(func(s *oracle.Semantics) {
				s.CacheWrite = func(layer, past, t, _ int) oracle.Slot { return oracle.Slot{Layer: layer, Row: f(past + t)} }
			})
		}
		add("cache-wraps-at", "the cache is written as a ring of %d rows: later positions overwrite the first ones", "row", cacheTaps,
			written(func(p int) int { return p % n }))
		add("cache-ends-at", "rows from position %d on are not written", "row", cacheTaps, written(func(p int) int {
			if p < n {
				return p
			}
			return -1
		}))
		out[len(out)-1].Leaves = true
		for _, read := range []struct {
			cache  tap.Tap
			taps   []tap.Tap
			prefix string
		}{{tap.KCache, kqTaps, "keys"}, {tap.VCache, kqvTaps, "values"}} {
			add(read.prefix+"-wrap-at", read.prefix+" are read as from a ring of %d rows", read.prefix, read.taps,
				feeds(read.cache, func(x oracle.Rows, _ tap.Dims) oracle.Rows {
					return permuted(x, func(i int) int { return i/row%n*row + i%row })
				}))
		}
	}
	return out
}
