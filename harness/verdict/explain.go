package verdict

import (
	"fmt"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// Unexplained is a recording whose drift nothing explains.
type Unexplained struct {
	Key tap.Key
	Why string
}

// unexplained says why a recording's drift is more than can be accounted for,
// "" when it is not.
//
// With O what the oracle makes of a side's own inputs,
//
//	ours - ref = (O(ours) - O(ref)) + (ours - O(ours)) - (ref - O(ref))
//
// so that drift is what the inputs' drift makes of itself and the two op
// errors, always. Where both are within their allowances nothing is left to
// explain: an honest engine may drift as far as its roundings carry it. What
// can escape is an op that the oracle does not judge. There the op errors
// count for nothing, and drift must come from the inputs and from rounding; the
// oracle's formula is not the model's, so what it says of either is taken with
// [oracle.Confidence]. And values that are not finite are never explained: if
// no op made them of finite ones, they come from the weights or from what was
// not recorded.
func (t *Tap) unexplained() string {
	switch {
	case t.HasDrift && t.Status == NoOracle:
		if limit := oracle.Confidence * (t.Carried + t.rounding); !(t.Drift.NMSE <= limit) {
			return fmt.Sprintf("drift at %s is %.3g, of which the drift of its inputs and rounding explain %.3g; "+
				"the oracle does not speak the model's semantics there, so it cannot say which side is wrong",
				t.Key, t.Drift.NMSE, limit)
		}
	case t.Status == OK && t.Drift.NaNA+t.Drift.InfA > 0:
		return fmt.Sprintf("%s holds %d NaN and %d Inf, first at %v, and no op made them of finite values: look at the weights and at what was not recorded",
			t.Key, t.Drift.NaNA, t.Drift.InfA, t.Drift.FirstBad)
	}
	return ""
}

// unexplained notes the first recording whose drift nothing explains.
func (r *Result) unexplained(t *Tap, why string) {
	r.Outcome = Divergence
	if r.Unexplained == nil {
		r.Unexplained = &Unexplained{t.Key, why}
	}
}
