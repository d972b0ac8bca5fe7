package verdict

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// Growth is the drift after one layer of the prefill and how much of it the
// errors that the layers so far made themselves explain.
type Growth struct {
	Layer            int
	Drift, Explained float64 // NMSE
}

// layers follows the residual stream of the prefill from layer to layer, each
// layer recomputed as one composition F from either side's own stream x:
//
//	carried   = F(x_ours) - F(x_ref)                      what the layer makes of the drift so far
//	fresh     = (ours - F(x_ours)) - (ref - F(x_ref))     what its own errors add
//	explained = |carried|^2 explained/drift of the layer before + |ours - F(x_ours)|^2 + |ref - F(x_ref)|^2
//
// Roundings of one layer know nothing of those of another, so their squares add
// up, and explained is what drift comes to when errors are no more than that.
// But each op may be within its allowance and all err the same way: then
// amplitudes add up, and over L layers drift is up to L times what is explained.
// Drift is more than errors explain when it is past [referenceFactor] times
// explained, twice the amplitude, and the layers' fresh errors line up with the
// drift they are added to more often than by chance (aligned); or past
// [oracle.Confidence] times in any case.
func (j *judge) layers(r *Result, opt Options) error {
	stream := func(k tap.Key) bool {
		return k.Step == 0 && (k.Tap == tap.InpEmbd || k.Tap == tap.LOut) && j.oursHas(k) && j.comparable(k)
	}
	var at []*Tap
	for i := range r.Taps {
		if t := &r.Taps[i]; t.Key.Tap == tap.LOut && stream(t.Key) {
			at = append(at, t)
		}
	}
	voices, err := j.composed(at, stream, opt)
	if err != nil {
		return err
	}
	share := 1.0 // explained of the drift so far
	var angles []float64
	for i, t := range at {
		own, other := voices[i][0], voices[i][1]
		explained := carried(own, other)*share + ratio(own.err+other.err, energy(other.got))
		angles = append(angles, angle(own, other))
		r.Growth = append(r.Growth, Growth{t.Key.Layer, t.Drift.NMSE, explained})
		limit := oracle.Confidence * explained
		if aligned(angles) {
			limit = referenceFactor * explained
		}
		if !(t.Drift.NMSE <= limit) {
			r.unexplained(t, fmt.Sprintf("drift after layer %d is %.3g, which has grown past what the ops' own errors explain, %.3g: "+
				"each op is within its allowance and they err the same way", t.Key.Layer, t.Drift.NMSE, explained))
		}
		share = 1
		if t.Drift.NMSE > 0 {
			share = explained / t.Drift.NMSE
		}
	}
	return nil
}

// layersAtOnce is how many layers are recomputed side by side: each holds all
// its taps of the whole prompt, and its products are spread over cores already.
const layersAtOnce = 4

// composed hears both sides at the end of layers, ours first, each recomputed
// from what stream says is recorded.
func (j *judge) composed(at []*Tap, stream func(tap.Key) bool, opt Options) ([][2]*voice, error) {
	voices := make([][2]*voice, len(at))
	err := opt.each(len(at), layersAtOnce, func(i int) error {
		k := at[i].Key
		ours, ref := oracle.NewSide(j.ours, j.oursArith, stream), oracle.NewSide(j.ref, j.refArith, stream)
		values, err := j.oracle.Apart().Eval([]oracle.Request{{Side: ours, Key: k}, {Side: ref, Key: k}})
		if err != nil {
			return err
		}
		if voices[i][0], err = hear(j.ours, j.oursArith, k, values[0], nil); err != nil {
			return err
		}
		voices[i][1], err = hear(j.ref, j.refArith, k, values[1], nil)
		return err
	})
	return voices, err
}

// angle is the cosine between the drift that a layer carries on and the error
// that it adds.
func angle(ours, ref *voice) float64 {
	var dot, a, b float64
	for i, x := range ours.want.Data {
		y := ref.want.Data[i]
		carried, fresh := x-y, (ours.got[i]-x)-(ref.got[i]-y)
		dot, a, b = dot+carried*fresh, a+carried*carried, b+fresh*fresh
	}
	if a == 0 || b == 0 {
		return 0
	}
	return dot / math.Sqrt(a) / math.Sqrt(b)
}

// aligned reports whether angles of layers that know nothing of each other add
// up past chance: their sum has the variance of the sum of their squares,
// whatever moves together within a layer. Fewer layers than
// [oracle.Confidence] cannot show it.
func aligned(angles []float64) bool {
	sum, squares := 0.0, 0.0
	for _, c := range angles {
		sum, squares = sum+c, squares+c*c
	}
	return sum > 0 && sum*sum > oracle.Confidence*squares
}
