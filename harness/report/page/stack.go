package page

import (
	"math"

	"attndiff/traces/tap"
)

// The largest pictures. A row or column of the tensor gets a cell of its own
// as long as there are fewer.
const (
	mapHeight = 80
	mapCells  = 17_600 // of token by channel
	mapWidth  = 448    // a phone's pixels, and half a desktop's column
	headSide  = 72     // of one head's attention map
	headsWide = 128    // tokens, of head by token
	maxHeads  = 128    // heads, of head by token
	drawnHead = 32     // heads that get an attention map of their own
)

// stack is one tap of one layer over all drawn steps, as pictures.
type stack struct {
	tap   tap.Tap
	layer int
	steps []int // that hold something to draw

	tokens  *trio   // token by channel (heads side by side); nil for scores
	heads   *trio   // head by token: root mean square of each row, and its error; nil without heads
	scores  []*trio // token by position, for each head; nil for all but scores
	spread  histogram
	one     string // "ours" or "reference" when only that side is there
	odd     bool   // a recording was left out: its shape is not the model's
	scratch []float32
}

// layout says what the axes of a tap are: how many heads, and how wide a row
// is.
func layout(t tap.Tap, d tap.Dims) (heads, width int) {
	shape, axes := t.Shape(d), t.Axes()
	heads, width = 1, shape[len(shape)-1]
	for i, a := range axes {
		if a == "head" {
			heads = shape[i]
		}
	}
	return heads, width
}

// isScores reports whether a tap is one matrix per head.
func isScores(t tap.Tap) bool { return t.Axes()[0] == "head" }

// isCache reports whether a recording holds all positions, not those of its
// step.
func isCache(t tap.Tap) bool { return t.Axes()[0] == "position" }

// tokenSize is the size of a token by channel picture.
func tokenSize(rows, cols int) (height, wide int) {
	height = min(rows, mapHeight)
	return height, min(cols, mapWidth, max(mapCells/height, 1))
}

// newStack makes the pictures of a tap, still empty.
func (s *source) newStack(t tap.Tap, layer int) *stack {
	d := s.dims()
	heads, width := layout(t, d)
	rows := d.T
	if isCache(t) {
		rows = s.columns
	}
	st := &stack{tap: t, layer: layer}
	if isScores(t) {
		for range min(heads, drawnHead) {
			st.scores = append(st.scores, newTrio(rows, s.columns, headSide, headSide))
		}
	} else {
		height, wide := tokenSize(rows, heads*width)
		st.tokens = newTrio(rows, heads*width, height, wide)
	}
	if heads > 1 {
		st.heads = newTrio(heads, rows, maxHeads, headsWide)
	}
	return st
}

// fill reads the tap's recordings step by step; of a cache the last one, which
// holds all positions.
func (st *stack) fill(r *reading) error {
	ours, ref := false, false
	for i, step := range r.steps {
		if isCache(st.tap) && step != r.last() {
			continue
		}
		k := tap.At(step, st.layer, st.tap)
		oursIn, refIn := r.usable(r.ours, k), r.usable(r.ref, k)
		if _, recorded := r.ours.Info(k); recorded && !oursIn {
			st.odd = true
		}
		if !oursIn && !refIn {
			continue
		}
		ours, ref = ours || oursIn, ref || refIn
		st.steps = append(st.steps, step)
		first := r.first[i]
		if isCache(st.tap) {
			first = 0
		}
		shape := st.tap.Shape(r.ref.Dims(step))
		err := r.rows(k, func(row int, ours, ref []float32) {
			token, head := st.place(row, shape)
			st.row(first+token, head, ours, ref)
		})
		if err != nil {
			return err
		}
	}
	switch {
	case ref && !ours:
		st.one = "reference"
	case ours && !ref:
		st.one = "ours"
	}
	return nil
}

// place says which token and head a row of a recording belongs to.
func (st *stack) place(row int, shape []int) (token, head int) {
	switch {
	case isScores(st.tap):
		return row % shape[1], row / shape[1]
	case len(shape) == 3:
		return row / shape[1], row % shape[1]
	}
	return row, 0
}

// row draws one row of the tensor.
func (st *stack) row(token, head int, ours, ref []float32) {
	m, col := st.tokens, head*max(len(ours), len(ref))
	if st.scores != nil {
		m, col = nil, 0
		if head < len(st.scores) {
			m = st.scores[head]
		}
	}
	var diff []float32
	if ours != nil && ref != nil {
		diff = st.difference(ours, ref)
		st.spread.count(diff)
	}
	if m != nil {
		m.ours.put(token, col, ours)
		m.ref.put(token, col, ref)
		m.diff.put(token, col, diff)
	}
	if h := st.heads; h != nil {
		put := func(g *grid, of []float32) {
			if of != nil {
				g.put(head, token, []float32{float32(rms(of))})
			}
		}
		put(h.ours, ours)
		put(h.ref, ref)
		put(h.diff, diff)
	}
}

// difference is |ours-reference| over the root mean square of the reference.
// Where that is 0 any difference is as large as the scale has.
func (st *stack) difference(ours, ref []float32) []float32 {
	scale := rms(ref)
	if math.IsNaN(scale) || math.IsInf(scale, 0) {
		scale = rms(finite(ref))
	}
	st.scratch = st.scratch[:0]
	inverse := float32(1 / scale)
	for i, b := range ref {
		d := magnitude(ours[i] - b)
		switch {
		case d == 0:
		case scale == 0 && d == d:
			d = float32(relative.High)
		default:
			d *= inverse
		}
		st.scratch = append(st.scratch, d)
	}
	return st.scratch
}

// rms is the root mean square, NaN or infinite when an element is.
func rms(values []float32) float64 {
	var sum float64
	for _, v := range values {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(max(len(values), 1)))
}

func finite(values []float32) []float32 {
	var out []float32
	for _, v := range values {
		if magnitude(v) <= math.MaxFloat32 {
			out = append(out, v)
		}
	}
	return out
}
