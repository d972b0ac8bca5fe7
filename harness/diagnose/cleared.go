package diagnose

import (
	"math"
	"slices"

	"attndiff/harness/oracle"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Suspicion is something on ours' side that looks like a bug and is none: the
// reference has it too.
type Suspicion struct {
	What            string  // in one clause, with its numbers
	Key             tap.Key // where
	Index           []int   // in the tap's shape
	Ours, Reference float64 // both sides' value there
	Why             string  // why it is fine
}

// mostCleared bounds the list: it is there to save a hunt, not to start one.
const mostCleared = 8

// Cleared looks for outliers in ours and returns those that the reference has
// too: the most striking of each kind, kinds in the order that people ask about
// them. Nothing is cleared at an op that is wrong or inherits an error.
func Cleared(b Bench) ([]Suspicion, error) {
	var out []Suspicion
	for _, s := range suspects {
		var oddest sighting
		for _, t := range b.sound(s.tap) {
			seen, err := b.suspect(t, s.look)
			if err != nil {
				return nil, err
			}
			if seen.score > oddest.score {
				oddest = seen
			}
		}
		same := func(o Suspicion) bool { return o.Key == oddest.Key && slices.Equal(o.Index, oddest.Index) }
		if oddest.Why = s.why; oddest.score > 0 && len(out) < mostCleared && !slices.ContainsFunc(out, same) {
			out = append(out, oddest.Suspicion)
		}
	}
	return out, nil
}

// sighting is a suspicion and how odd it is: from 1 on.
type sighting struct {
	Suspicion
	score float64
}

// suspect looks at one recording of ours for the oddest place and keeps it when
// the reference is as odd there; else the score is 0.
func (b *Bench) suspect(t verdict.Tap, look func(*view) (reading, error)) (sighting, error) {
	ours, err := look(&view{trace: b.Ours, key: t.Key})
	if err != nil {
		return sighting{}, err
	}
	i, score := ours.oddest()
	if !(score > 1) {
		return sighting{}, nil
	}
	ref, err := look(&view{trace: b.Reference, key: t.Key})
	if err != nil || !corroborated(&ours, &ref, i, t) {
		return sighting{}, err
	}
	s := Suspicion{What: ours.what(i), Key: t.Key, Ours: ours.values[i], Reference: ref.values[i]}
	if at := ours.element(i); at >= 0 {
		s.Index = indices(at, t.Shape)
	}
	return sighting{s, score}, nil
}

// largestRead bounds one recording that is looked at, in elements: the scores
// of a prompt of 1,000 tokens are left to the decode steps.
const largestRead = 1 << 22

// sound returns the recordings of a tap in the first and last step that both
// sides have in the same shape and that are neither wrong nor inherit an error.
func (b *Bench) sound(of tap.Tap) []verdict.Tap {
	last := len(b.Ours.Meta().Steps) - 1
	var out []verdict.Tap
	for _, t := range b.Result.Taps {
		if t.Key.Tap == of && (t.Key.Step == 0 || t.Key.Step == last) && t.Status == verdict.OK && t.HasDrift &&
			t.Drift.NaNA+t.Drift.InfA == 0 && tap.Elements(t.Shape) <= largestRead {
			out = append(out, t)
		}
	}
	return out
}

// corroborated reports whether the reference is as odd at place i, with a value no
// further off than the recording's drift explains.
func corroborated(ours, ref *reading, i int, t verdict.Tap) bool {
	if i >= len(ref.scores) || !(ref.scores[i] > 1) {
		return false
	}
	drift := math.Max(t.Drift.NMSE, t.Drift.ChannelNMSE)
	if !math.IsNaN(t.Allowance) {
		drift = math.Max(drift, t.Allowance)
	}
	// An element may err by its share of the whole recording's error, which
	// one element holds at worst.
	scale := math.Max(math.Abs(ref.values[i]), ref.scale)
	return math.Abs(ours.values[i]-ref.values[i]) <= math.Sqrt(oracle.Confidence*drift)*scale
}

// view is one side's recordings around a key.
type view struct {
	trace *trace.Reader
	key   tap.Key
}

// own reads the recording that is looked at.
func (v *view) own() ([]float64, error) { return v.read(v.key) }

// read reads a recording of the same step, nil when there is none in the shape
// that the model calls for.
func (v *view) read(k tap.Key) ([]float64, error) {
	info, ok := v.trace.Info(k)
	if !ok || !slices.Equal(info.Shape, k.Tap.Shape(v.dims())) {
		return nil, nil
	}
	return v.trace.Float64(k, nil)
}

// with reads the recording that is looked at and another one, both nil unless
// both are there.
func (v *view) with(k tap.Key) (own, other []float64, err error) {
	if other, err = v.read(k); err != nil || other == nil {
		return nil, nil, err
	}
	if own, err = v.own(); err != nil || own == nil {
		return nil, nil, err
	}
	return own, other, nil
}

func (v *view) dims() tap.Dims { return v.trace.Dims(v.key.Step) }

// reading is what one look makes of a recording: places, each with a value
// that a reader can check and a score. A score of 1 is where odd begins.
type reading struct {
	scores, values []float64
	at             []int   // flat index of each value in the recording, -1 for none; nil when places are elements
	scale          float64 // root mean square of what the values are part of
	what           func(i int) string
}

// oddest is the place with the highest score.
func (r *reading) oddest() (place int, score float64) {
	for i, s := range r.scores {
		if s > score {
			place, score = i, s
		}
	}
	return place, score
}

// element is the flat index of a place's value.
func (r *reading) element(i int) int {
	if r.at == nil {
		return i
	}
	return r.at[i]
}

// indices turns a flat index into one index per axis.
func indices(at int, shape []int) []int {
	out := make([]int, len(shape))
	for axis := len(shape) - 1; axis >= 0; axis-- {
		out[axis] = at % shape[axis]
		at /= shape[axis]
	}
	return out
}
