package diagnose

import (
	"fmt"
	"math"
	"strings"

	"attndiff/traces/tap"
)

// layouts looks for ours being the oracle written with its axes in another
// order: [T,D,H] where [T,H,D] is meant.
func layouts(p *probe) []Clue {
	if len(p.exhibits) == 0 {
		return nil
	}
	for _, split := range []bool{false, true} {
		shape, names := p.exhibits[0].view(split, p.dims)
		if shape == nil {
			continue
		}
		for _, order := range orders(len(shape)) {
			residual, ok := p.holds(func(x *exhibit) *claim {
				shape, _ := x.view(split, p.dims)
				if shape == nil {
					return nil
				}
				return x.gather(func(i int) int {
					if i < x.base {
						return i
					}
					return x.base + reordered(i-x.base, shape, order)
				})
			})
			if !ok {
				continue
			}
			written := make([]string, len(order))
			for k, a := range order {
				written[k] = names[a]
			}
			lies := fmt.Sprintf("laid out [%s] where [%s] is meant", strings.Join(written, ","), strings.Join(names, ","))
			return []Clue{{Kind: "transposed", Grade: Whole, Residual: residual, Names: true,
				Text:  "ours is the oracle " + lies,
				Title: fmt.Sprintf("%s is %s", p.tap, lies),
				Fix:   fmt.Sprintf("Write %s row-major as [%s]; where a transpose was meant to follow, it is missing.", p.tap, strings.Join(names, ","))}}
		}
	}
	return nil
}

// view is the exhibit's shape with the names of its axes; split takes rows of
// E channels as heads of dims. nil when that is not a view of its own.
func (x *exhibit) view(split bool, d tap.Dims) (shape []int, names []string) {
	if x.cache() && !split {
		return append([]int{x.shape[0] - x.dims.P}, x.shape[1:]...), x.axes
	}
	if !split {
		return x.shape, x.axes
	}
	if len(x.shape) != 2 || d.D == 0 || x.shape[1] != d.H*d.D {
		return nil, nil
	}
	return []int{x.shape[0], d.H, d.D}, []string{x.axes[0], "head", "dim"}
}

// orders are the orders of n axes but the straight one; neighbours that change
// places come first.
func orders(n int) [][]int {
	switch n {
	case 2:
		return [][]int{{1, 0}}
	case 3:
		return [][]int{{0, 2, 1}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}}
	}
	return nil
}

// reordered is the row-major index, in shape, of what lies at place i when the
// axes are written in the given order.
func reordered(i int, shape, order []int) int {
	at := [3]int{}
	for k := len(order) - 1; k >= 0; k-- {
		n := max(shape[order[k]], 1)
		at[order[k]] = i % n
		i /= n
	}
	flat := 0
	for k, n := range shape {
		flat = flat*n + at[k]
	}
	return flat
}

// strides looks for the oracle's rows at another distance, or another start,
// in ours' memory: a leading dimension, a pointer's offset.
func strides(p *probe) []Clue {
	found := map[*exhibit]layout{}
	for _, x := range p.exhibits {
		l, ok := x.layout()
		if !ok {
			return nil
		}
		found[x] = l
	}
	residual, ok := p.holds(func(x *exhibit) *claim { return x.laid(found[x]) })
	if !ok {
		return nil
	}
	x := p.exhibits[len(p.exhibits)-1]
	l, width := found[x], x.width()
	c := Clue{Kind: "row-stride", Grade: Whole, Residual: residual, Names: true}
	var says []string
	if l.stride != width {
		says = append(says, fmt.Sprintf("rows lie %d elements apart instead of %d%s", l.stride, width, p.strideName(found)))
		c.Fix = fmt.Sprintf("The distance from row to row of %s is its last axis, %s: correct the leading dimension.", p.tap, x.axes[len(x.axes)-1])
	}
	if l.start != 0 {
		says = append(says, fmt.Sprintf("the first one starts %+d elements off", l.start))
		c.Kind, c.Fix = "element-shift", fmt.Sprintf("Check the offset that is added to the pointer of %s.", p.tap)
	}
	if len(says) == 0 {
		return nil
	}
	c.Text = fmt.Sprintf("ours holds the oracle's rows displaced: %s (%s)", strings.Join(says, " and "), x)
	c.Title = fmt.Sprintf("%s: %s", p.tap, strings.Join(says, " and "))
	return []Clue{c}
}

// layout is where rows lie in memory: row r at start + r*stride.
type layout struct{ start, stride int }

// strideName says which size the stride is, the same one in every exhibit.
func (p *probe) strideName(found map[*exhibit]layout) string {
	for _, n := range []struct {
		text string
		of   func(*exhibit) int
	}{
		{"the tokens of the step", func(x *exhibit) int { return x.dims.T }},
		{"the cached tokens", func(x *exhibit) int { return x.dims.P }},
		{"all positions", func(x *exhibit) int { return x.dims.C() }},
		{"head_dim", func(x *exhibit) int { return x.dims.D }},
		{"KV heads * head_dim", func(x *exhibit) int { return x.dims.G * x.dims.D }},
		{"n_embd", func(x *exhibit) int { return x.dims.E }},
	} {
		all := true
		for x, l := range found {
			all = all && n.of(x) == l.stride
		}
		if all {
			return ", which is " + n.text
		}
	}
	return ""
}

// layout finds the first and the last row of the oracle in ours.
func (x *exhibit) layout() (layout, bool) {
	width := x.width()
	if width < smallestSlice {
		return layout{}, false
	}
	rows := len(x.want) / width
	if rows < 2 {
		start, ok := x.find(0)
		return layout{start, width}, ok && start != 0
	}
	// Rows that overlap are overwritten from behind: of two neighbours the later
	// one is whole, and so is the start of the one before.
	for _, r := range []int{rows / 2, 1} {
		first, ok1 := x.find((r - 1) * width)
		next, ok2 := x.find(r * width)
		if stride := next - first; ok1 && ok2 && stride > 0 {
			l := layout{first - (r-1)*stride, stride}
			return l, l != layout{0, width}
		}
	}
	return layout{}, false
}

// find returns the one place in ours where the oracle's elements from lo on lie.
func (x *exhibit) find(lo int) (at int, ok bool) {
	const run = 8
	n := min(run, x.width())
	places := 0
	for i := 0; i+n <= len(x.got); i++ {
		match, live := true, false
		for j := 0; j < n && match; j++ {
			d := x.got[i+j] - x.want[lo+j]
			match = d*d <= elementConfidence*x.noise[lo+j]
			live = live || x.want[lo+j] != 0
		}
		if match && live {
			at = i
			places++
		}
	}
	return at, places == 1
}

// laid is the claim that an exhibit holds the oracle's rows in that layout,
// later ones over earlier ones.
func (x *exhibit) laid(l layout) *claim {
	c := &claim{nans(len(x.want)), make([]float64, len(x.want))}
	width := x.width()
	for i := range x.want {
		if to := l.start + i/width*l.stride + i%width; to >= 0 && to < len(c.v) {
			c.v[to], c.noise[to] = x.want[i], x.noise[i]
		}
	}
	return c
}

// nans returns n NaN.
func nans(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = math.NaN()
	}
	return v
}
