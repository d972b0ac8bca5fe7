package verdict

import (
	"math"

	"attndiff/traces/tap"
)

// Break counts a rule that ours broke at k, of which no recorded value tells: a
// greedy choice that is not the largest logit, a kernel that reached outside
// its buffers. That is a divergence, the first one when no op was wrong up to
// there.
func (r *Result) Break(k tap.Key, why string, peak Peak) {
	r.Outcome = Divergence
	if r.First != nil && r.First.Key.Compare(k) <= 0 {
		return
	}
	nan := math.NaN()
	r.First = &Tap{Key: k, Status: Introduced, Why: why, OpOurs: nan, OpRef: nan, Allowance: nan,
		Drift: Metrics{NMSE: nan, MaxAbs: nan, Cos: nan}, Peak: peak}
}
