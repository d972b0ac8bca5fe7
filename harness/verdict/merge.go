package verdict

import (
	"fmt"
	"slices"
)

// Blind reports whether values that are not finite kept ops from being judged.
func (r *Result) Blind() bool {
	return slices.ContainsFunc(r.Taps, func(t Tap) bool { return t.Blind })
}

// Merge completes a verdict that values which are not finite left blind with
// that of a second run, in which memory that nobody wrote held ordinary
// numbers: a blind recording that the second run shows to be wrong is wrong.
// What the first run saw stands.
func Merge(first, second *Result) *Result {
	wrong := map[string]Tap{}
	for _, t := range second.Taps {
		if t.Status == Introduced {
			wrong[t.Key.String()] = t
		}
	}
	merged := *first
	merged.Taps = slices.Clone(first.Taps)
	merged.First = nil
	added := 0
	for i := range merged.Taps {
		t := &merged.Taps[i]
		if again, ok := wrong[t.Key.String()]; ok && t.Blind && t.Status != Introduced {
			again.Why += " (in the run with ordinary numbers in unwritten memory)"
			*t = again
			added++
		}
		if t.Status == Introduced && merged.First == nil {
			merged.First = t
			merged.Outcome = Divergence
		}
	}
	merged.Notes = append(slices.Clone(first.Notes), fmt.Sprintf(
		"ours holds values that are not finite; run again with ordinary numbers in memory that nobody wrote, %d more recordings are seen to be wrong", added))
	return &merged
}
