package diagnose

import (
	"errors"
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// recording is one recording of ours.
type recording struct {
	key       tap.Key
	got       []float64
	dtype     trace.DType
	allowance float64      // the op's allowance, an NMSE
	right     oracle.Value // what the op owes
	older     int          // leading elements that earlier steps wrote: the cache's first rows
	unwritten bool         // what a variant leaves undefined is memory that the op did not write
}

// owesNaN reports whether NaN in what the op owes must be in ours too: not in
// memory left unwritten, nor where columns of probability 0 may be left out of a
// weighted sum.
func (r recording) owesNaN() bool {
	return !r.unwritten && r.key.Tap != tap.KQV && len(r.right.Composed) == 0
}

// outcome is how well a variant reproduces recordings.
type outcome struct {
	residual float64 // NMSE over what it claims; +Inf when it is refuted or does not apply
	within   bool    // every recording within its allowance, each row too
	rounding bool    // no further off than rounding explains
	claims   int     // elements that it says a value of
	told     int     // those of them that ours has wrong
	open     int     // elements that it leaves undefined
}

// refuted is the outcome of a variant that cannot be what ours did.
var refuted = outcome{residual: math.Inf(1)}

// try recomputes recordings under a variant. It gives up at the first one
// whose residual exceeds giveUp.
func (e *experiment) try(v oracle.Variant, recordings []recording, giveUp float64) (outcome, error) {
	total := comparison{}
	within := true
	for _, r := range recordings {
		want, err := e.eval(v, r.key)
		if errors.Is(err, oracle.ErrNotApplicable) {
			return refuted, nil
		}
		if err != nil {
			return outcome{}, fmt.Errorf("recomputing %s under a variant: %w", r.key, err)
		}
		c, ok := compare(r, want)
		if !ok {
			return refuted, nil
		}
		total.add(c)
		within = within && c.within
		if !(ratio(c.err, c.energy) <= giveUp) {
			break
		}
	}
	if total.claims == 0 && len(recordings) > 0 && len(recordings[0].right.Composed) > 0 {
		return refuted, nil // what one op in a gap leaves open, everything after it does
	}
	return outcome{residual: ratio(total.err, total.energy), within: within, claims: total.claims, told: total.told, open: total.open,
		rounding: within && total.err <= oracle.Confidence*total.noise}, nil
}

// spares reports whether a mistake would not have shown in recordings that are
// right. Where it cannot be made it does not show.
func (e *experiment) spares(v oracle.Variant, recordings []recording) (bool, error) {
	for _, r := range recordings {
		want, err := e.eval(v, r.key)
		if errors.Is(err, oracle.ErrNotApplicable) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("recomputing %s under a variant: %w", r.key, err)
		}
		if c, ok := compare(r, want); !ok || !c.within {
			return false, nil
		}
	}
	return true, nil
}

// comparison is a recording held against a recomputed value.
type comparison struct {
	err, energy, noise float64 // sums of squares
	claims, told       int
	within             bool

	open, met int     // elements said to be undefined, and those of them that are right
	metEnergy float64 // sum of squares of those that are right
}

func (c *comparison) add(d comparison) {
	c.err, c.energy, c.noise, c.claims = c.err+d.err, c.energy+d.energy, c.noise+d.noise, c.claims+d.claims
	c.told, c.open, c.met, c.metEnergy = c.told+d.told, c.open+d.open, c.met+d.met, c.metEnergy+d.metEnergy
}

// luck is the share of undefined elements that may be right: numbers that
// memory happens to hold come close to the right ones now and then.
const luck = 1.0 / 16

// blur is the residual above which a variant explains nothing, however large
// the noise of its own arithmetic: a tenth of the amplitude.
const blur = 1e-2

// rowConfidence is how many variances one row may reach: five standard
// deviations, as the worst of up to a million rows does.
const rowConfidence = 25

// compare holds a recording against what a variant says of it. NaN in the
// value makes no claim of its own, but says that ours is not right there but
// by luck: where it is too often, that counts as an error of the elements'
// whole size. An infinity must be met exactly. ok is false when an element
// rules the variant out.
func compare(r recording, want oracle.Value) (c comparison, ok bool) {
	if len(want.Data) != len(r.got) {
		return c, false
	}
	width := max(want.Shape[len(want.Shape)-1], 1)
	c.within = true
	for lo := 0; lo < len(r.got); lo += width {
		row := comparison{}
		for i := lo; i < lo+width; i++ {
			if !row.element(r, want, i) {
				return c, false
			}
		}
		limit := math.Max(r.allowed(row.energy), row.noise)
		c.within = c.within && row.err <= rowConfidence*limit
		c.add(row)
	}
	if float64(c.met) > luck*float64(c.open) {
		c.err, c.energy = c.err+c.metEnergy, c.energy+c.metEnergy
	}
	c.within = c.within && c.err <= math.Max(r.allowed(c.energy), oracle.Confidence*c.noise) && c.err <= blur*c.energy
	return c, true
}

// allowed is the squared error that the allowance grants values of so much
// energy: none where there is none, however wide it is.
func (r *recording) allowed(energy float64) float64 {
	if energy == 0 {
		return 0
	}
	return r.allowance * energy
}

// element adds one element to the sums; false when it rules the variant out.
func (c *comparison) element(r recording, want oracle.Value, i int) bool {
	x, y, right := r.got[i], want.Data[i], r.right.Data[i]
	if math.IsNaN(y) && i < r.older {
		return true // the oracle has them from the recording before, right or not
	}
	d := x - right
	wrong := x != right && !(d*d <= oracle.Confidence*(r.right.Noise[i]+oracle.StorageNoise(r.dtype, right)))
	if math.IsNaN(y) && math.IsNaN(right) {
		switch {
		case !finite(x) || oracle.Open(right, r.right.Noise[i]):
			return true // NaN that the op's inputs make, or what f32 cannot hold
		case r.owesNaN():
			return false // ours has a number for it
		}
	}
	if math.IsNaN(y) {
		c.open++
		if !wrong && finite(right) {
			c.met, c.metEnergy = c.met+1, c.metEnergy+right*right
		}
		return true
	}
	if c.claims++; wrong {
		c.told++
	}
	switch {
	case math.IsInf(y, 0) || math.IsInf(x, 0):
		return x == y
	case math.IsNaN(x):
		return false
	}
	c.err += (x - y) * (x - y)
	c.energy += y * y
	c.noise += want.Noise[i] + oracle.StorageNoise(r.dtype, y)
	return true
}

// ratio is e/s, 0 for 0/0.
func ratio(e, s float64) float64 {
	if e == 0 {
		return 0
	}
	return e / s
}
