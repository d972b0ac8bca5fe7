package faults

import "attndiff/traces/tap"

// groupedHead is how both attention kernels find a query head's KV head.
const groupedHead = "const int g = h / (H / G);"

// needsGroups says when a wrong head map shows.
const needsGroups = "two KV heads or more"

// mapHeads patches the head map of both kernels.
func mapHeads(code string) []Patch {
	return []Patch{{"scores.cu", groupedHead, code}, {"weighted_sum.cu", groupedHead, code}}
}

// gqaFaults are mistakes in which KV head a query head reads.
var gqaFaults = []Fault{
	{
		Name: "gqa-modulo", Tap: tap.KQ,
		What:    "query head h reads KV head h % G instead of h / (H/G)",
		Why:     "KV heads are repeated as a whole (tile) instead of one by one (repeat_interleave)",
		Needs:   needsGroups,
		Patches: mapHeads("const int g = h % G;"),
	}, {
		Name: "gqa-ceil", Tap: tap.KQ,
		What:    "the head map rounds up instead of down",
		Why:     "a ceil-divide helper used for an index",
		Needs:   needsGroups,
		Patches: mapHeads("const int g = min((h + H / G - 1) / (H / G), G - 1);"),
	}, {
		Name: "gqa-first-head", Tap: tap.KQ,
		What:    "all query heads read KV head 0",
		Why:     "a kernel for multi-query attention",
		Needs:   needsGroups,
		Patches: mapHeads("const int g = 0;"),
	}, {
		Name: "gqa-reversed", Tap: tap.KQ,
		What:    "groups count from the last KV head",
		Why:     "a layout written by a converter that stores heads in reverse",
		Needs:   needsGroups,
		Patches: mapHeads("const int g = G - 1 - h / (H / G);"),
	}, {
		Name: "gqa-v-modulo", Tap: tap.KQV,
		What:    "keys are grouped rightly, values by h % G",
		Why:     "the mistake was mended in one of the two kernels",
		Needs:   needsGroups,
		Patches: []Patch{{"weighted_sum.cu", groupedHead, "const int g = h % G;"}},
	}, {
		Name: "gqa-v-first-head", Tap: tap.KQV,
		What:    "keys are grouped, all query heads weigh the values of KV head 0",
		Why:     "the KV head's offset is left out of the value pointer",
		Needs:   needsGroups,
		Patches: []Patch{{"weighted_sum.cu", groupedHead, "const int g = 0;"}},
	}, {
		Name: "gqa-k-modulo", Tap: tap.KQ,
		What:    "values are grouped rightly, keys by h % G",
		Why:     "the mistake was mended in one of the two kernels",
		Needs:   needsGroups,
		Patches: []Patch{{"scores.cu", groupedHead, "const int g = h % G;"}},
	}, {
		Name: "gqa-group-of-g", Tap: tap.KQ,
		What:    "groups are taken to be G heads wide instead of H/G",
		Why:     "number of groups and size of a group confused",
		Needs:   "two KV heads or more, and H/G other than G",
		Patches: mapHeads("const int g = min(h / G, G - 1);"),
	},
}
