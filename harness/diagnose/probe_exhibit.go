package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// exhibit is one wrong recording beside the oracle.
type exhibit struct {
	key       tap.Key
	dims      tap.Dims // of its step
	shape     []int
	axes      []string // one name per axis
	got, want []float64
	noise     []float64 // variance that honest arithmetic leaves in each element
	extra     float64   // share of a row's mean square that the allowance adds to it
	dtype     trace.DType
	allowance float64
	composed  bool // across a gap: recomputing it takes all ops in it

	// base is how many leading elements are older than the step: the rows of a
	// cache that were there before. A mistake of this step's op is in the others.
	base int

	wrong  []bool // elements off by more than their noise explains
	wrongs int
}

// elementConfidence is how many variances a single element may be off: six
// deviations, just beyond what one rounding can reach (oracle.Confidence).
const elementConfidence = 36

// sliceConfidence is the same for a sum over many elements of one slice.
const sliceConfidence = 25

// newExhibit lays a recording beside its oracle.
func newExhibit(r recording, want oracle.Value, d tap.Dims) *exhibit {
	x := &exhibit{key: r.key, dims: d, shape: want.Shape, axes: r.key.Tap.Axes(),
		got: r.got, want: want.Data, dtype: r.dtype, allowance: r.allowance, composed: len(want.Composed) > 0, base: min(older(r.key.Tap, d), len(r.got))}
	if !want.Exact {
		x.extra = x.spare(want)
	}
	x.noise = x.owed(want)
	x.mark()
	return x
}

// cache reports whether the exhibit is a cache.
func (x *exhibit) cache() bool { return x.key.Tap == tap.KCache || x.key.Tap == tap.VCache }

// spare is what the allowance grants beyond the derived noise, relative to the
// squared values: the reference's own error may be larger than ours' arithmetic
// explains, and what it may, ours may.
func (x *exhibit) spare(want oracle.Value) float64 {
	var noise, energy float64
	for i, y := range want.Data {
		if finite(y) && finite(want.Noise[i]) {
			noise, energy = noise+want.Noise[i], energy+y*y
		}
	}
	s := x.allowance/oracle.Confidence - ratio(noise, energy)
	if !(s > 0) || math.IsInf(s, 0) {
		return 0
	}
	return s
}

// owed is the variance each element of a value may have on this side: its own
// noise, its storage (an exact value is the stored one), one f32 rounding in any
// case, and the allowance's spare.
func (x *exhibit) owed(value oracle.Value) []float64 {
	noise := make([]float64, len(value.Data))
	width := max(x.width(), 1)
	for lo := 0; lo < len(noise); lo += width {
		row := value.Data[lo:min(lo+width, len(noise))]
		spare := x.extra * energy(row) / float64(len(row))
		for i, y := range row {
			noise[lo+i] = value.Noise[lo+i] + f32Rounding*y*y
			if value.Noise[lo+i] > 0 || !value.Exact {
				noise[lo+i] += oracle.StorageNoise(x.dtype, y)
			}
			if y != 0 {
				noise[lo+i] += spare
			}
		}
	}
	return noise
}

// f32Rounding is the relative variance of one f32 rounding.
var f32Rounding = oracle.RoundingNMSE(oracle.UnitF32)

// mark finds the wrong elements. Where the oracle is not finite it knows
// nothing, and ours counts as right.
func (x *exhibit) mark() {
	x.wrong, x.wrongs = make([]bool, len(x.got)), 0
	for i, y := range x.want {
		d := x.got[i] - y
		if finite(y) && !(d*d <= elementConfidence*x.noise[i]) {
			x.wrong[i] = true
			x.wrongs++
		}
	}
}

// width is the size of the last axis, 1 for a scalar.
func (x *exhibit) width() int {
	if len(x.shape) == 0 {
		return 1
	}
	return x.shape[len(x.shape)-1]
}

// String names the recording as evidence does.
func (x *exhibit) String() string { return moment(x.key) }

// moment names a recording of a tap that is known.
func moment(k tap.Key) string {
	if k.Layer == tap.NoLayer {
		return fmt.Sprintf("step %d", k.Step)
	}
	return fmt.Sprintf("step %d, layer %d", k.Step, k.Layer)
}

// claim is what an exhibit would hold if a clue were true. NaN makes no claim.
type claim struct {
	v, noise []float64
}

// fit is how well a claim meets an exhibit.
type fit struct {
	err, energy float64
	within      bool
}

// fit measures a claim. It is within when the whole and every row are as close
// as the op's allowance asks for, the claim leaves no more than a tenth of the
// error that the oracle leaves, and it speaks about at least half of all elements
// and half of the wrong ones.
func (x *exhibit) fit(c claim) fit {
	f := fit{}
	if len(c.v) != len(x.got) || len(x.got) == 0 {
		return f
	}
	rows, noise, plain := true, 0.0, 0.0
	claimed, met := 0, 0
	width := max(x.width(), 1)
	for lo := 0; lo < len(c.v); lo += width {
		var e, n float64
		for i := lo; i < min(lo+width, len(c.v)); i++ {
			y := c.v[i]
			if math.IsNaN(y) {
				continue
			}
			claimed++
			if x.wrong[i] {
				met++
			}
			if math.IsInf(y, 0) {
				rows = rows && x.got[i] == y
				continue
			}
			d := x.got[i] - y
			e, n = e+d*d, n+c.noise[i]
			if x.wrong[i] {
				d = x.got[i] - x.want[i]
				plain += d * d
			}
			f.energy += y * y
		}
		f.err, noise = f.err+e, noise+n
		rows = rows && e <= sliceConfidence*n
	}
	limit := math.Max(x.allowance*f.energy, oracle.Confidence*noise)
	f.within = rows && f.err <= limit && !(separation*f.err > plain) && 2*claimed >= len(x.got) && f.energy > 0 && met > 0 && 2*met >= x.wrongs
	return f
}

// gather is the claim that element i holds the oracle's element at(i); a
// negative index makes no claim.
func (x *exhibit) gather(at func(i int) int) *claim {
	c := &claim{make([]float64, len(x.want)), make([]float64, len(x.want))}
	for i := range c.v {
		if j := at(i); j >= 0 && j < len(x.want) {
			c.v[i], c.noise[i] = x.want[j], x.noise[j]
		} else {
			c.v[i] = math.NaN()
		}
	}
	return c
}

// axis describes one axis of a shape: an element's index is
// (outer*n + a)*inner + i.
type axis struct {
	name            string
	outer, n, inner int
}

// axisOf describes axis k of the exhibit.
func (x *exhibit) axisOf(k int) axis {
	a := axis{name: x.noun(k), outer: tap.Elements(x.shape[:k]), n: x.shape[k], inner: tap.Elements(x.shape[k+1:])}
	return a
}

// noun is what a person calls axis k: the heads of keys and values are KV heads.
func (x *exhibit) noun(k int) string {
	name := x.axes[k]
	switch x.key.Tap {
	case tap.KProj, tap.KBias, tap.KRope, tap.VProj, tap.VBias, tap.KCache, tap.VCache:
		if name == "head" {
			return "KV head"
		}
	}
	return name
}

// at is the element of slice a that has number j among outer*inner.
func (a axis) at(slice, j int) int { return (j/a.inner*a.n+slice)*a.inner + j%a.inner }

// slice returns which slice element i lies in.
func (a axis) slice(i int) int { return i / a.inner % a.n }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// energy is the sum of squares of the finite elements.
func energy(v []float64) float64 {
	s := 0.0
	for _, y := range v {
		if finite(y) {
			s += y * y
		}
	}
	return s
}

// place writes an element's index as the shape has it.
func (x *exhibit) place(i int) string {
	return fmt.Sprint(unravel(i, x.shape))
}
