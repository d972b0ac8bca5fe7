package diagnose

import (
	"fmt"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// rotationHeadMistakes rotate rows that are cut into heads wrongly: heads of
// another size, or another number of them.
func rotationHeadMistakes(m Model) []Hypothesis {
	var out []Hypothesis
	d := m.Dims
	for _, n := range distinct([]int{d.D / 2, 32, 64, 128, 2 * d.D, 96, 80}, func(n int) bool {
		return n != d.D && n > 1 && n%2 == 0 && d.H*d.D%n == 0 && d.G*d.D%n == 0
	}) {
		out = append(out, Hypothesis{ID: fmt.Sprintf("rope-heads-of-%d", n), Aspect: "heads", Taps: ropeTaps,
			Title: fmt.Sprintf("rows are rotated as if heads had %d elements instead of %d", n, d.D),
			Fix:   fmt.Sprintf("Pass head_dim = %d as the size of a head, in the pairing and in the exponent.", d.D),
			Variant: recut(func(x oracle.Rows, now tap.Dims) oracle.Rows {
				s := m.Right
				s.RopeDims = n
				cut := oracle.Rows{N: len(x.V) / n, Width: n, V: x.V, Noise: x.Noise}
				y := oracle.Rope(cut, cut.N/max(now.T, 1), positions(now), s)
				return oracle.Rows{N: x.N, Width: x.Width, V: y.V, Noise: y.Noise}
			})})
	}
	few := Hypothesis{ID: "rope-rows-of-kv-heads", Aspect: "heads", Taps: []tap.Tap{tap.QRope}, Leaves: true,
		Title: "queries are rotated as if a token had n_head_kv heads: later ones of each step are not written",
		Fix:   "Q has n_head heads, K has n_head_kv: pass each its own number.",
		Variant: recut(func(x oracle.Rows, now tap.Dims) oracle.Rows {
			n := now.T * d.G * d.D
			y := oracle.Rope(oracle.Rows{N: now.T * d.G, Width: d.D, V: x.V[:n], Noise: x.Noise[:n]}, d.G, positions(now), m.Right)
			all := undefinedWhere(x, func(i int) bool { return i >= n })
			copy(all.V, y.V)
			copy(all.Noise, y.Noise)
			return all
		})}
	if d.G < d.H {
		out = append(out, few)
	}
	return out
}

// positions are those of a step's tokens.
func positions(d tap.Dims) []int {
	pos := make([]int, d.T)
	for t := range pos {
		pos[t] = d.P + t
	}
	return pos
}

// recut is a rotation done from the op's input in another way.
func recut(f func(x oracle.Rows, d tap.Dims) oracle.Rows) oracle.Variant {
	return oracle.Variant{Result: func(of tap.Key, y oracle.Rows, d tap.Dims, fetch oracle.Fetch) (oracle.Rows, error) {
		x, err := fetch(tap.At(of.Step, of.Layer, of.Tap-1)) // the biased projection
		if err != nil || len(x.V) != len(y.V) {
			return oracle.Rows{}, oracle.ErrNotApplicable
		}
		x = mapped(x, func(_ int, v float64) float64 { return v })
		noise := make([]float64, len(x.V))
		copy(noise, x.Noise)
		x.Noise = noise
		return f(x, d), nil
	}}
}
