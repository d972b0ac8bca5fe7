package verdict

import (
	"fmt"

	"attndiff/harness/oracle"
)

// referenceFactor is how many times the reference's own error an op of ours
// may have: twice the amplitude.
const referenceFactor = 4

// rowConfidence is oracle.Confidence for the worst of up to a million rows:
// five standard deviations instead of four.
const rowConfidence = 25

// check holds ours to the allowance on the whole tensor, on each row and on
// the largest channel. ref is nil when the reference has no such recording.
// It returns the whole tensor's allowance and, for a broken rule, one sentence
// with its numbers.
func check(ours, ref *opError) (allowance float64, why string) {
	allowance = ratio(max(oracle.Confidence*ours.noise, ours.turned), ours.energy)
	if ref != nil {
		allowance = max(allowance, referenceFactor*ref.nmse())
	}
	if ours.broken != "" {
		return allowance, ours.broken
	}
	if e := ours.nmse(); !(e <= allowance) {
		return allowance, fmt.Sprintf("NMSE against the oracle is %.3g, allowed %.3g", e, allowance)
	}
	for r, own := range ours.rows {
		limit := rowLimit(own, ref, r)
		if !(own.err <= limit) {
			return allowance, fmt.Sprintf("row %d: NMSE against the oracle is %.3g, allowed %.3g (whole tensor %.3g)",
				r, ratio(own.err, own.energy), ratio(limit, own.energy), ours.nmse())
		}
	}
	limit := max(rowConfidence*ours.channel.noise, ours.channel.turned)
	if ref != nil && ref.channelAt == ours.channelAt {
		limit = max(limit, referenceFactor*ratio(ref.channel.err, ref.channel.energy)*ours.channel.energy)
	}
	if !(ours.channel.err <= limit) {
		return allowance, fmt.Sprintf("channel %d, the largest: NMSE against the oracle is %.3g, allowed %.3g (whole tensor %.3g)",
			ours.channelAt, ratio(ours.channel.err, ours.channel.energy), ratio(limit, ours.channel.energy), ours.nmse())
	}
	return allowance, ""
}

// rowLimit is the squared error that one row of ours may have. The reference's
// share scales that row's derived noise by how far the reference strays from
// its noise at worst: one row's own error is a lucky or unlucky draw.
func rowLimit(own squares, ref *opError, r int) float64 {
	limit := max(rowConfidence*own.noise, own.turned)
	if ref == nil || r >= len(ref.rows) || ref.rows[r].energy == 0 {
		return limit
	}
	scale := referenceFactor * ref.excess // a valid reference's
	return max(limit, scale*ref.rows[r].noise/ref.rows[r].energy*own.energy)
}
