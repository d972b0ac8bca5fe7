package diagnose

import (
	"fmt"
	"math"
	"strings"
)

// places says along which axis the error is confined: some heads, from a
// position on, the tail of a block of threads.
func places(p *probe) []Clue {
	if len(p.exhibits) == 0 {
		return nil
	}
	var out []Clue
	for k := range p.exhibits[0].shape {
		text, strong := p.confined(k)
		if text == "" {
			continue
		}
		c := Clue{Kind: "only-some", Grade: Where, Residual: math.NaN(), Text: text, axis: p.exhibits[0].noun(k)}
		if strong {
			c.Kind = "block-tail"
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		if text := p.flatTail(); text != "" {
			out = append(out, Clue{Kind: "block-tail", Grade: Where, Residual: math.NaN(), Text: text})
		}
	}
	return out
}

// confined words the set of wrong slices along axis k, when it is a proper part
// of the axis and of one kind in every exhibit that has more than one slice.
func (p *probe) confined(k int) (text string, tail bool) {
	var sets [][]bool
	for _, x := range p.exhibits {
		if a := x.axisOf(k); a.n > 1 {
			set := x.wrongSlices(a)
			if n := count(set); n == len(set) {
				return "", false
			} else if n > 0 {
				sets = append(sets, set)
			}
		}
	}
	if len(sets) == 0 {
		return "", false
	}
	noun := p.exhibits[0].noun(k)
	for _, w := range wordings {
		first, ok := w.says(sets[0], noun)
		if !ok {
			continue
		}
		same := true
		for _, s := range sets[1:] {
			said, ok := w.says(s, noun)
			same = same && ok && (said == first || w.relative)
		}
		if same {
			if w.relative && len(sets) > 1 && !equalLengths(sets) {
				first, _ = w.says(sets[len(sets)-1], noun)
			}
			return first, w.tail
		}
	}
	return "", false
}

// wrongSlices marks the slices along an axis whose error exceeds their noise.
func (x *exhibit) wrongSlices(a axis) []bool {
	errs, noise := make([]float64, a.n), make([]float64, a.n)
	for i, y := range x.want {
		if !finite(y) {
			continue
		}
		d := x.got[i] - y
		s := a.slice(i)
		errs[s], noise[s] = errs[s]+d*d, noise[s]+x.noise[i]
	}
	set := make([]bool, a.n)
	for s := range set {
		set[s] = !(errs[s] <= sliceConfidence*noise[s])
	}
	return set
}

// wording is one kind of set. A relative one is of the same kind when its
// numbers follow the axis' length.
type wording struct {
	relative, tail bool
	says           func(set []bool, noun string) (string, bool)
}

// wordings, the most telling first.
var wordings = []wording{
	{true, true, blockTail},
	{true, false, func(set []bool, noun string) (string, bool) {
		return "only the last " + noun + " is wrong", count(set) == 1 && set[len(set)-1] && len(set) > 2
	}},
	{false, false, func(set []bool, noun string) (string, bool) {
		return fmt.Sprintf("only %s 0 is wrong", noun), count(set) == 1 && set[0]
	}},
	{false, false, func(set []bool, noun string) (string, bool) {
		return "only the even " + noun + "s are wrong", len(set) > 3 && matches(set, func(i int) bool { return i%2 == 0 })
	}},
	{false, false, func(set []bool, noun string) (string, bool) {
		return "only the odd " + noun + "s are wrong", len(set) > 3 && matches(set, func(i int) bool { return i%2 == 1 })
	}},
	{true, false, func(set []bool, noun string) (string, bool) {
		n := len(set)
		return fmt.Sprintf("only the second half of the %d %ss is wrong", n, noun), n > 3 && n%2 == 0 && matches(set, func(i int) bool { return i >= n/2 })
	}},
	{true, false, func(set []bool, noun string) (string, bool) {
		n := len(set)
		return fmt.Sprintf("only the first half of the %d %ss is wrong", n, noun), n > 3 && n%2 == 0 && matches(set, func(i int) bool { return i < n/2 })
	}},
	{false, false, func(set []bool, noun string) (string, bool) {
		from := 0
		for from < len(set) && !set[from] {
			from++
		}
		return fmt.Sprintf("wrong only from %s %d on", noun, from), from > 0 && len(set)-from > 1 && matches(set, func(i int) bool { return i >= from })
	}},
	{false, false, func(set []bool, noun string) (string, bool) {
		to := count(set)
		return fmt.Sprintf("wrong only in the first %d %ss", to, noun), to > 1 && matches(set, func(i int) bool { return i < to })
	}},
	{false, false, list},
}

// blockTail recognises the incomplete last block: a launch, a loop or a
// reduction that counts whole blocks. The largest block that fits is named.
func blockTail(set []bool, noun string) (string, bool) {
	n := len(set)
	for _, block := range []int{512, 256, 128, 64, 32} {
		from := n / block * block
		if from < n && from > 0 && matches(set, func(i int) bool { return i >= from }) {
			return fmt.Sprintf("wrong only in the last %d of %d %ss, beyond the last whole block of %d", n-from, n, noun, block), true
		}
	}
	if n > 32 && matches(set, func(i int) bool { return i >= n-32 }) {
		return fmt.Sprintf("wrong only in the last 32 of %d %ss: one warp", n, noun), true
	}
	return "", false
}

// list spells a small set out, as ranges.
func list(set []bool, noun string) (string, bool) {
	var parts []string
	for lo := 0; lo < len(set); lo++ {
		if !set[lo] {
			continue
		}
		hi := lo
		for hi+1 < len(set) && set[hi+1] {
			hi++
		}
		if hi > lo {
			parts = append(parts, fmt.Sprintf("%d-%d", lo, hi))
		} else {
			parts = append(parts, fmt.Sprint(lo))
		}
		lo = hi
	}
	const ranges = 4
	if count(set) == 1 {
		return fmt.Sprintf("only %s %s of %d is wrong", noun, parts[0], len(set)), true
	}
	return fmt.Sprintf("only %ss %s of %d are wrong", noun, strings.Join(parts, ", "), len(set)), len(parts) <= ranges
}

// flatTail recognises an incomplete last block over the flattened tensor, as
// element-wise kernels are launched.
func (p *probe) flatTail() string {
	for _, block := range []int{1024, 512, 256, 128, 64, 32} {
		all := true
		for _, x := range p.exhibits {
			from := len(x.got) / block * block
			all = all && from > 0 && from < len(x.got) && x.firstWrong() >= from && x.wrongs > 0
		}
		if all {
			return fmt.Sprintf("wrong only beyond the last whole block of %d elements, the tensor taken as one row", block)
		}
	}
	return ""
}

// firstWrong is the index of the first wrong element, or the length.
func (x *exhibit) firstWrong() int {
	for i, w := range x.wrong {
		if w {
			return i
		}
	}
	return len(x.wrong)
}

func count(set []bool) int {
	n := 0
	for _, b := range set {
		if b {
			n++
		}
	}
	return n
}

func matches(set []bool, in func(i int) bool) bool {
	for i, b := range set {
		if b != in(i) {
			return false
		}
	}
	return true
}

func equalLengths(sets [][]bool) bool {
	for _, s := range sets {
		if len(s) != len(sets[0]) {
			return false
		}
	}
	return true
}
