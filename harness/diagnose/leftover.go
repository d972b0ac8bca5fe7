package diagnose

import (
	"fmt"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// absentMistakes write nothing. They come before all others: a mistake that
// leaves a whole run's results unwritten cannot be told from any other.
func absentMistakes(Model) []Hypothesis {
	return []Hypothesis{{ID: "never-written", Aspect: whole, Taps: tap.All(), Leaves: true, Title: "the result is never written",
		Fix: "Check that the op is launched, that its grid covers the output, and that its error is read.",
		Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows {
			return undefinedWhere(y, func(int) bool { return true })
		})}}
}

// leftoverMistakes pass on what is not this op's result at all.
func leftoverMistakes(m Model) []Hypothesis {
	all := tap.All()
	layered := all[1 : len(all)-2]
	var rewritten []tap.Tap // what a step writes anew; a cache keeps what earlier steps wrote
	for _, t := range all {
		if t != tap.KCache && t != tap.VCache {
			rewritten = append(rewritten, t)
		}
	}
	result := func(id, title, fix string, taps []tap.Tap, v oracle.Variant) Hypothesis {
		return Hypothesis{ID: id, Aspect: whole, Taps: taps, Title: title, Fix: fix, Variant: v}
	}
	run := "Check that the op is launched in every layer and step, on the stream the others use, and that its error is read."
	return []Hypothesis{
		result("output-of-layer-before", "the result is the layer before's", run, layered,
			holds(func(of tap.Key) tap.Key { return tap.At(of.Step, layerOrNone(of.Layer-1), of.Tap) })),
		result("not-run", "the op did not run: its buffer holds the layer before's result, in layer 0 the last step's", run, layered,
			holds(func(of tap.Key) tap.Key { return ranBefore(of, m.Layers) })),
		result("output-of-step-before", "the result is the step before's", run, rewritten,
			holds(func(of tap.Key) tap.Key { return tap.At(of.Step-1, of.Layer, of.Tap) })),
		result("output-of-layer-0", "every layer passes on layer 0's result", run, layered,
			holds(func(of tap.Key) tap.Key { return tap.At(of.Step, 0, of.Tap) })),
		result("output-zero", "the result is zero", run, all,
			yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows { return zeroWhere(y, func(int) bool { return true }) })),
		{ID: "output-negated", Aspect: "sign", Taps: all, Title: "the result has the wrong sign", Fix: "Look for a sign in the formula or in alpha.",
			Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows { return multiplied(y, -1) })},
	}
}

// coverageMistakes leave a part of the result unwritten: what lies beyond the
// last whole block.
func coverageMistakes(Model) []Hypothesis {
	var flat, byToken []tap.Tap
	for _, t := range tap.All() {
		if t == tap.KQ {
			continue // its tiles are of two axes and have hypotheses of their own
		}
		flat = append(flat, t)
		if t.Axes()[0] == "token" {
			byToken = append(byToken, t)
		}
	}
	var out []Hypothesis
	taps := flat
	add := func(id, title, fix string, missing func(i, width, n int) bool) {
		out = append(out, Hypothesis{ID: id, Aspect: "coverage", Taps: taps, Leaves: true, Title: title, Fix: fix,
			Variant: yields(func(y oracle.Rows, d tap.Dims) oracle.Rows {
				width := len(y.V) / max(d.T, 1)
				return undefinedWhere(y, func(i int) bool { return missing(i, width, len(y.V)) })
			})})
	}
	grid := "Round the grid up: (n + block - 1) / block blocks, with a bound in the kernel."
	for _, b := range blockSizes {
		add(fmt.Sprintf("tail-of-%d-unwritten", b), fmt.Sprintf("elements beyond the last whole block of %d are not written", b), grid,
			func(i, _, n int) bool { return i >= n/b*b })
	}
	add("last-element-unwritten", "the last element is not written", grid, func(i, _, n int) bool { return i == n-1 })
	taps = byToken
	for _, b := range append(blockSizes[:len(blockSizes):len(blockSizes)], 16, 8) {
		add(fmt.Sprintf("row-tail-of-%d-unwritten", b), fmt.Sprintf("channels beyond a row's last whole block of %d are not written", b), grid,
			func(i, w, _ int) bool { return i%w >= w/b*b })
		add(fmt.Sprintf("channels-beyond-%d-unwritten", b), fmt.Sprintf("only the first %d channels of each row are written", b),
			"Let each thread walk the row in strides of the block.", func(i, w, _ int) bool { return i%w >= b && b < w })
	}
	for _, b := range []int{8, 16, 32, 64, 128, 4, 2} {
		add(fmt.Sprintf("token-tile-of-%d-unwritten", b), fmt.Sprintf("tokens in the last, partial tile of %d are not written", b), grid,
			func(i, w, n int) bool { return i/w >= n/w/b*b })
	}
	add("last-token-unwritten", "the last token's row is not written", grid, func(i, w, n int) bool { return i/w == n/w-1 })
	add("first-token-only-written", "only the first token's row is written", grid, func(i, w, _ int) bool { return i >= w })
	out = append(out, Hypothesis{ID: "last-token-in-first-row", Aspect: "coverage", Taps: taps, Leaves: true,
		Title: "only the last token is computed, and its row is the first", Fix: "Compute all rows of the step, each in its place.",
		Variant: yields(func(y oracle.Rows, d tap.Dims) oracle.Rows {
			width := len(y.V) / max(d.T, 1)
			return permuted(y, func(i int) int {
				if i >= width {
					return -1
				}
				return len(y.V) - width + i
			})
		})})
	add("last-channel-unwritten", "each row's last channel is not written", grid, func(i, w, _ int) bool { return i%w == w-1 })
	return out
}
