package page

import (
	"slices"

	"attndiff/harness/report"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// shownSteps is how many steps a picture covers at most.
const shownSteps = 64

// source is both traces and the steps that are drawn of them.
type source struct {
	ref, ours *trace.Reader
	steps     []int
	first     []int // row of each step's first token; after the last, the number of rows
	columns   int   // cache length after the last drawn step
	block     int   // values of a side that are read at a time
}

// newSource chooses the steps: the prefill, those that the report speaks of,
// the last, and as many between as fit.
func newSource(ref, ours *trace.Reader, r *report.Report) *source {
	n := min(len(ref.Meta().Steps), len(ours.Meta().Steps))
	steps := []int{0, n - 1}
	if r.First != nil {
		steps = append(steps, r.First.Step)
	}
	for _, f := range r.Findings {
		steps = append(steps, f.Evidence.Step)
	}
	for _, s := range spread(n, shownSteps) {
		if slices.Contains(steps, s) {
			continue
		}
		if len(steps) >= shownSteps {
			break
		}
		steps = append(steps, s)
	}
	slices.Sort(steps)
	s := &source{ref: ref, ours: ours, steps: slices.Compact(steps), block: blockValues}
	rows := 0
	for _, step := range s.steps {
		d := ref.Dims(step)
		s.first = append(s.first, rows)
		rows += d.T
		s.columns = max(s.columns, d.C())
	}
	s.first = append(s.first, rows)
	return s
}

// spread returns so many of 0 to n-1, evenly spaced, or all of them.
func spread(n, many int) []int {
	many = min(n, many)
	out := make([]int, many)
	for i := range out {
		out[i] = i * n / many
	}
	return out
}

// rows is how many tokens the drawn steps fed.
func (s *source) rows() int { return s.first[len(s.first)-1] }

// last is the last drawn step.
func (s *source) last() int { return s.steps[len(s.steps)-1] }

// decoding is where the first decoded token is among n tokens or positions, in
// per cent; 0 when none was decoded, or n are those of something else.
func (s *source) decoding(t tap.Tap, n int) float64 {
	prefill := s.first[1]
	if len(s.steps) < 2 || n <= prefill || isCache(t) && s.columns != s.rows() {
		return 0
	}
	return round(100 * float64(prefill) / float64(n))
}

// dims are the model's sizes with all drawn tokens fed in one step.
func (s *source) dims() tap.Dims {
	d := s.ref.Dims(-1)
	d.T, d.P = s.rows(), s.columns-s.rows()
	return d
}

// reading reads tensors of both sides row by row. Its buffers hold a block of
// rows, so that memory does not grow with the tensors.
type reading struct {
	*source
	ours32, ref32 []float32
}

// blockValues is how many values of a side are read at a time, unless a single
// row has more.
const blockValues = 1 << 18

// rows hands each row of the last axis of both sides' recordings of k to take;
// one is nil when that side has no such recording, or one of another shape than
// the model calls for.
func (r *reading) rows(k tap.Key, take func(row int, ours, ref []float32)) error {
	shape := k.Tap.Shape(r.ref.Dims(k.Step))
	width := shape[len(shape)-1]
	n := tap.Elements(shape) / max(width, 1)
	oursIn, refIn := r.usable(r.ours, k), r.usable(r.ref, k)
	block := max(r.block/max(width, 1), 1)
	for first := 0; first < n && (oursIn || refIn); first += block {
		rows := min(block, n-first)
		if oursIn {
			r.ours32 = slices.Grow(r.ours32[:0], rows*width)[:rows*width]
			if err := r.ours.Float32At(k, r.ours32, first*width); err != nil {
				return err
			}
		}
		if refIn {
			r.ref32 = slices.Grow(r.ref32[:0], rows*width)[:rows*width]
			if err := r.ref.Float32At(k, r.ref32, first*width); err != nil {
				return err
			}
		}
		for i := range rows {
			var ours, ref []float32
			if oursIn {
				ours = r.ours32[i*width : (i+1)*width]
			}
			if refIn {
				ref = r.ref32[i*width : (i+1)*width]
			}
			take(first+i, ours, ref)
		}
	}
	return nil
}

// usable reports whether a side recorded k in the shape the model calls for.
func (s *source) usable(side *trace.Reader, k tap.Key) bool {
	info, ok := side.Info(k)
	return ok && slices.Equal(info.Shape, k.Tap.Shape(s.ref.Dims(k.Step)))
}

// has reports whether a side recorded k at all.
func (s *source) has(k tap.Key) bool {
	_, a := s.ours.Info(k)
	_, b := s.ref.Info(k)
	return a || b
}
