package diagnose

import (
	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// headMapMistakes are the mistakes people make in which KV head a query head
// reads, in the scores and in the weighted sum.
func headMapMistakes(Model) []Hypothesis {
	heads := func(id, title, fix string, f func(h, heads, kv int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "heads", Taps: []tap.Tap{tap.KQ, tap.KQV}, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) {
				s.KVHead = func(h, heads, kv int) int { return min(max(f(h, heads, kv), 0), kv-1) }
			})}
	}
	groups := "Query head h reads KV head h / (n_head/n_head_kv): neighbouring query heads share one."
	return []Hypothesis{
		heads("gqa-modulo", "query head h reads KV head h mod n_head_kv", groups+" Repeat KV heads one by one (repeat_interleave), not as a whole (tile).",
			func(h, _, kv int) int { return h % kv }),
		heads("gqa-first-head", "all query heads read KV head 0", groups, func(int, int, int) int { return 0 }),
		heads("gqa-reversed", "groups count from the last KV head", groups, func(h, n, kv int) int { return kv - 1 - h/(n/kv) }),
		heads("gqa-ceil", "the head map rounds up instead of down", groups, func(h, n, kv int) int { return (h + n/kv - 1) / (n / kv) }),
		heads("gqa-rounded", "the head map rounds to nearest", groups, func(h, n, kv int) int { return (h + n/kv/2) / (n / kv) }),
		heads("gqa-group-of-kv-heads", "groups are taken to be n_head_kv heads wide instead of n_head/n_head_kv", groups,
			func(h, _, kv int) int { return h / kv }),
		heads("gqa-last-head", "all query heads read the last KV head", groups, func(_, _, kv int) int { return kv - 1 }),
		heads("gqa-modulo-of-group", "query head h reads KV head h mod (n_head/n_head_kv)", groups, func(h, n, kv int) int { return h % (n / kv) }),
		heads("gqa-no-groups", "query head h reads KV head h, as without groups; heads beyond the last read the last", groups,
			func(h, _, _ int) int { return h }),
		heads("gqa-next-head", "each group reads the KV head after its own", groups, func(h, n, kv int) int { return (h/(n/kv) + 1) % kv }),
		heads("gqa-one-head-early", "groups begin one query head early, the first is one shorter and the last one longer", groups, func(h, n, kv int) int { return (h + 1) / (n / kv) }),
		heads("gqa-groups-one-head-longer", "groups are taken to be one query head wider than they are", groups, func(h, n, kv int) int { return h / (n/kv + 1) }),
		heads("gqa-groups-one-head-shorter", "groups are taken to be one query head narrower than they are", groups, func(h, n, kv int) int { return h / max(n/kv-1, 1) }),
		heads("gqa-shifted", "groups begin one query head late", groups, func(h, n, kv int) int { return (h + n - 1) % n / (n / kv) }),
		heads("gqa-shifted-early", "groups begin one query head early", groups, func(h, n, kv int) int { return (h + 1) % n / (n / kv) }),
	}
}
