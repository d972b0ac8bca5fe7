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
	s := &source{ref: ref, ours: ours, steps: slices.Compact(steps)}
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

// read returns both sides' values at k; one is nil when that side has no such
// recording, or one of another shape than the model calls for. Buffers are
// reused.
type reading struct {
	*source
	a, b []float32
}

func (r *reading) read(k tap.Key) (ours, ref []float32, err error) {
	if r.usable(r.ours, k) {
		if r.a, err = r.ours.Float32(k, r.a); err != nil {
			return nil, nil, err
		}
		ours = r.a
	}
	if r.usable(r.ref, k) {
		if r.b, err = r.ref.Float32(k, r.b); err != nil {
			return nil, nil, err
		}
		ref = r.b
	}
	return ours, ref, nil
}

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
