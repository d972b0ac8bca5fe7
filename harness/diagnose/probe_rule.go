package diagnose

import (
	"fmt"
	"slices"
	"strings"
)

// rule is a map of indices that a person can say in a few words: {i} stands for
// the index, {n} for how many there are and {n-1} for the last.
type rule struct {
	text string
	at   func(i, n int) int
}

// rules are the maps that indexing mistakes make, the plainest first. n bounds
// the constants in them; each applies to an axis of any length.
func rules(n int) []rule {
	var out []rule
	for _, k := range []int{1, -1, 2, -2, 3, -3, 4, -4, 8, -8, 16, -16, 32, -32} {
		out = append(out, rule{fmt.Sprintf("{i}%+d", k), func(i, _ int) int { return i + k }},
			rule{fmt.Sprintf("({i}%+d) mod {n}", k), func(i, n int) int { return ((i+k)%n + n) % n }})
	}
	out = append(out, rule{"{n-1}-{i}", func(i, n int) int { return n - 1 - i }})
	for k := range min(n, 4) {
		out = append(out, rule{fmt.Sprint(k), func(int, int) int { return k }})
	}
	out = append(out, rule{"the last", func(_, n int) int { return n - 1 }},
		rule{"{i} with its lowest bit flipped", func(i, _ int) int { return i ^ 1 }})
	for k := 2; k < n; k++ {
		out = append(out, rule{fmt.Sprintf("{i} mod %d", k), func(i, _ int) int { return i % k }},
			rule{fmt.Sprintf("{i}/%d", k), func(i, _ int) int { return i / k }})
	}
	for k := 2; 2*k <= n; k++ {
		if n%k == 0 {
			out = append(out, rule{fmt.Sprintf("({i} mod %d)*%d + {i}/%d", k, n/k, k),
				func(i, _ int) int { return i%k*(n/k) + i/k }})
		}
	}
	for k := 1; k < n; k++ {
		out = append(out, rule{fmt.Sprintf("({i}+%d) mod {n}", k), func(i, n int) int { return (i + k) % n }})
	}
	return out
}

// unknown is an index that a map says nothing about.
const unknown = -1

// fits reports whether the rule gives the map wherever the map is known.
func (r rule) fits(m []int) bool {
	for i, to := range m {
		if to != unknown && r.at(i, len(m)) != to {
			return false
		}
	}
	return true
}

// identity reports whether the map moves nothing that is known.
func identity(m []int) bool {
	for i, to := range m {
		if to != unknown && to != i {
			return false
		}
	}
	return true
}

// verb is what an index does, for one and for many.
type verb struct{ one, many string }

var (
	readsFrom = verb{"reads", "read"}
	belongsTo = verb{"holds what belongs to", "hold what belongs to"}
)

// spell words one map that holds for all exhibits, as a rule or as a list; ""
// when it is neither. letter stands for the index.
func spell(maps [][]int, subject, letter string, verb verb, object string) string {
	longest := slices.MaxFunc(maps, func(a, b []int) int { return len(a) - len(b) })
	one := !slices.ContainsFunc(maps, func(m []int) bool { return len(m) != len(longest) })
	for _, r := range rules(len(longest)) {
		if !slices.ContainsFunc(maps, func(m []int) bool { return !r.fits(m) }) {
			n, last := "n", "n-1"
			if one {
				n, last = fmt.Sprint(len(longest)), fmt.Sprint(len(longest)-1)
			}
			says := strings.NewReplacer("{i}", letter, "{n}", n, "{n-1}", last).Replace(r.text)
			return fmt.Sprintf("%s %s %s %s %s", subject, letter, verb.one, object, says)
		}
	}
	if one {
		return runs(merge(maps), subject, verb, object, func(i int) string { return fmt.Sprint(i) })
	}
	fromEnd := make([][]int, len(maps))
	for e, m := range maps {
		fromEnd[e] = make([]int, len(longest))
		for i := range longest {
			fromEnd[e][i] = unknown
		}
		shift := len(longest) - len(m)
		for i, to := range m {
			if to != unknown {
				fromEnd[e][i+shift] = to + shift
			}
		}
	}
	return runs(merge(fromEnd), subject, verb, object, func(i int) string { return fmt.Sprintf("n-%d", len(longest)-i) })
}

// runs spells a map out by runs of indices that map to one index or to
// neighbours, "" when there are too many. Where subject and object are the same
// kind, indices that stay in place are left out.
func runs(m []int, subject string, verb verb, object string, name func(i int) string) string {
	const most = 8
	var parts []string
	for lo := 0; lo < len(m); {
		step := 1
		if lo+1 < len(m) && m[lo+1] == m[lo] {
			step = 0
		}
		hi := lo
		for hi+1 < len(m) && m[lo] != unknown && m[hi+1] == m[hi]+step {
			hi++
		}
		if m[lo] != unknown && !(subject == object && step == 1 && m[lo] == lo) {
			says := fmt.Sprintf("%s %s %s %s %s", subject, name(lo), verb.one, object, name(m[lo]))
			switch {
			case hi > lo && step == 1:
				says = fmt.Sprintf("%ss %s-%s %s %ss %s-%s", subject, name(lo), name(hi), verb.many, object, name(m[lo]), name(m[hi]))
			case hi > lo:
				says = fmt.Sprintf("%ss %s-%s %s %s %s", subject, name(lo), name(hi), verb.many, object, name(m[lo]))
			}
			parts = append(parts, says)
		}
		lo = hi + 1
	}
	if len(parts) == 0 || len(parts) > most {
		return ""
	}
	return strings.Join(parts, ", ")
}

// merge combines maps of one length into what all of them say, nil when they
// contradict each other.
func merge(maps [][]int) []int {
	merged := slices.Clone(maps[0])
	for _, m := range maps[1:] {
		for i, to := range m {
			if merged[i] == unknown {
				merged[i] = to
			}
			if to != unknown && to != merged[i] {
				return nil
			}
		}
	}
	return merged
}
