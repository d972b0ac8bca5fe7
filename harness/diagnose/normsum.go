package diagnose

import (
	"fmt"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// warp is the number of threads that reduce by shuffles.
const warp = 32

// blockSizes are the thread counts that kernels are launched with, the usual
// first.
var blockSizes = []int{256, 128, 512, 1024, 64, 32}

// normSumMistakes are mistakes in which elements enter the sum of squares and
// in what it is divided by.
func normSumMistakes(m Model) []Hypothesis {
	width := m.Dims.E
	var out []Hypothesis
	for _, w := range normWidths(m) {
		id := fmt.Sprintf("norm-mean-over-%d", w)
		if w == 1 {
			id = "norm-sum-for-mean"
		}
		out = append(out, Hypothesis{ID: id, Aspect: "width", Taps: normTaps,
			Title:   fmt.Sprintf("the sum of squares is divided by %s instead of %d", widthName(m, w), width),
			Fix:     fmt.Sprintf("The mean is over n_embd = %d elements.", width),
			Variant: semantic(func(s *oracle.Semantics) { s.NormWidth = w })})
	}
	terms := func(id, title, fix string, in func(e int) bool) {
		out = append(out, Hypothesis{ID: id, Aspect: "terms", Taps: normTaps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) { s.NormTerm = func(_, e int) bool { return in(e) } })})
	}
	for _, n := range normPrefixes(m) {
		terms(fmt.Sprintf("norm-sum-of-first-%d", n),
			fmt.Sprintf("the sum of squares covers the first %d of %d elements", n, width),
			"Let the loop run to n_embd: the remainder after the last whole block of threads counts too.",
			func(e int) bool { return e < n })
	}
	for _, b := range blockSizes {
		if b > 2*width || b < 2*warp {
			continue
		}
		last := b/warp - 1
		reduce := fmt.Sprintf("Reduce over all %d warps of the block of %d threads.", b/warp, b)
		terms(fmt.Sprintf("norm-sum-without-last-warp-of-%d", b), fmt.Sprintf("the sum leaves out the last warp of %d threads", b), reduce,
			func(e int) bool { return e%b/warp != last })
		terms(fmt.Sprintf("norm-sum-without-first-warp-of-%d", b), fmt.Sprintf("the sum leaves out the first warp of %d threads", b), reduce,
			func(e int) bool { return e%b/warp != 0 })
		terms(fmt.Sprintf("norm-sum-of-first-warp-of-%d", b), fmt.Sprintf("the sum is that of the first warp of %d threads alone", b), reduce,
			func(e int) bool { return e%b/warp == 0 })
		terms(fmt.Sprintf("norm-sum-without-last-thread-of-%d", b), fmt.Sprintf("the sum leaves out the last of %d threads", b),
			"Let every thread add its part before the sum is taken.", func(e int) bool { return e%b != b-1 })
		terms(fmt.Sprintf("norm-sum-without-first-thread-of-%d", b), fmt.Sprintf("the sum leaves out the first of %d threads", b),
			"Let every thread add its part before the sum is taken.", func(e int) bool { return e%b != 0 })
		barrier := "Put __syncthreads() between writing the warps' sums to shared memory and reading them."
		out = append(out,
			Hypothesis{ID: fmt.Sprintf("norm-sum-per-warp-of-%d", b), Aspect: "terms", Taps: normTaps,
				Title: fmt.Sprintf("each warp of %d threads scales by its own sum", b), Fix: "Add the warps' sums up through shared memory.",
				Variant: semantic(func(s *oracle.Semantics) {
					s.NormGroup = func(e int) int { return e % b / warp }
					s.NormTerm = func(g, e int) bool { return e%b/warp == g }
				})},
			Hypothesis{ID: fmt.Sprintf("norm-barrier-missing-of-%d", b), Aspect: "terms", Taps: normTaps,
				Title: fmt.Sprintf("warps of %d threads add up the shared sums before all are written: only the last warp is right", b), Fix: barrier,
				Variant: yields(func(y oracle.Rows, _ tap.Dims) oracle.Rows {
					return undefinedWhere(y, func(i int) bool { return i%width%b/warp != last })
				})},
			Hypothesis{ID: fmt.Sprintf("norm-barrier-missing-over-zeros-of-%d", b), Aspect: "terms", Taps: normTaps,
				Title: fmt.Sprintf("warps of %d threads add up the shared sums before later warps have written theirs", b), Fix: barrier,
				Variant: semantic(func(s *oracle.Semantics) {
					s.NormGroup = func(e int) int { return e % b / warp }
					s.NormTerm = func(g, e int) bool { return e%b/warp <= g }
				})})
	}
	for _, lane := range []int{16, 1, 8, 4, 2} {
		terms(fmt.Sprintf("norm-shuffle-without-%d", lane),
			fmt.Sprintf("lanes do not add up over the offset %d: half of each warp is left out", lane),
			"Shuffle over the offsets 16, 8, 4, 2 and 1.", func(e int) bool { return e&lane == 0 })
	}
	terms("norm-sum-without-first-element", "the sum leaves out the first element", "Start the loop at 0.",
		func(e int) bool { return e != 0 })
	terms("norm-sum-of-every-second", "the sum covers every second element",
		"A vector load of two must add both of its elements.", func(e int) bool { return e%2 == 0 })
	return out
}

// normWidths are numbers that people divide by instead of n_embd.
func normWidths(m Model) []int {
	d := m.Dims
	power := 1
	for power < d.E {
		power *= 2
	}
	list := []int{1, blockSizes[0], d.F, d.D, d.E - 1, power, d.G * d.D, d.H * d.D, d.E + 1, 2 * d.E, d.E / 2, d.V, d.H, power / 2}
	return distinct(append(list, blockSizes...), func(n int) bool { return n > 0 && n != d.E })
}

// widthName says which of the model's numbers w is.
func widthName(m Model, w int) string {
	d := m.Dims
	switch w {
	case 1:
		return "1 (the sum is used for the mean)"
	case d.F:
		return fmt.Sprintf("n_ff = %d", w)
	case d.D:
		return fmt.Sprintf("head_dim = %d", w)
	case d.E - 1:
		return fmt.Sprintf("n_embd-1 = %d", w)
	case d.G * d.D:
		return fmt.Sprintf("the KV width %d", w)
	case d.V:
		return fmt.Sprintf("n_vocab = %d", w)
	}
	return fmt.Sprint(w)
}

// normPrefixes are lengths at which people stop the sum: whole blocks of
// threads, or another of the model's widths.
func normPrefixes(m Model) []int {
	d := m.Dims
	list := []int{d.E - 1}
	for _, b := range blockSizes {
		list = append(list, d.E/b*b, b)
	}
	list = append(list, d.F, d.D, d.G*d.D, d.E/2)
	for _, b := range []int{2, 4, 8, 16} {
		list = append(list, d.E/b*b)
	}
	return distinct(list, func(n int) bool { return n > 0 && n < d.E })
}

// distinct keeps the values that are wanted, each once, in order.
func distinct(values []int, want func(int) bool) []int {
	seen := map[int]bool{}
	var out []int
	for _, v := range values {
		if want(v) && !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}
