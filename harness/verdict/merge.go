package verdict

import (
	"slices"

	"attndiff/traces/tap"
)

// Blind reports whether values that are not finite kept ops from being judged.
func (r *Result) Blind() bool {
	return slices.ContainsFunc(r.Taps, func(t Tap) bool { return t.Blind })
}

// Merge completes a verdict by that of another run of ours on the same input:
// what the first run saw stands, and a recording for which take says so is
// wrong if the other run shows it to be. when words that run, as in "in a
// repeated run". The second result is the number of recordings added.
func Merge(first, other *Result, when string, take func(Tap) bool) (*Result, int) {
	wrong := map[tap.Key]Tap{}
	for _, t := range other.Taps {
		if t.Status == Introduced {
			wrong[t.Key] = t
		}
	}
	merged := *first
	merged.Taps = slices.Clone(first.Taps)
	merged.First = nil
	added := 0
	for i := range merged.Taps {
		t := &merged.Taps[i]
		if again, ok := wrong[t.Key]; ok && t.Status != Introduced && take(*t) {
			again.Why += " (" + when + ")"
			*t = again
			added++
		}
		if t.Status == Introduced && merged.First == nil {
			merged.First = t
			merged.Outcome = Divergence
		}
	}
	if len(merged.Choices) == 0 {
		merged.Choices = other.Choices
	}
	merged.choose()
	return &merged, added
}
