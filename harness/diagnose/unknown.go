package diagnose

import (
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// A mistake may read rows of the V cache that hold nobody knows what: not
// written yet, or beyond the end. Such a row is no free pass: all query heads
// of a group weigh the same one, so ours must be the known part plus the
// probabilities times some row, the same for all of them. Where there are
// several times as many sums as rows, that is a claim, and least squares say
// whether it holds.

// solved is a hypothesis about reading the V cache whose undefined rows are
// taken to be whatever explains ours best.
func solved(h Hypothesis) Hypothesis {
	feed := h.Variant.Feed
	open := func(of, in tap.Key, n, width int, d tap.Dims) []bool {
		y := feed(of, in, oracle.NewRows(n, width), d)
		undefined := make([]bool, len(y.V))
		for i, v := range y.V {
			undefined[i] = math.IsNaN(v)
		}
		return undefined
	}
	h.Variant.Feed = func(of, in tap.Key, x oracle.Rows, d tap.Dims) oracle.Rows {
		if in.Tap != tap.VCache {
			return feed(of, in, x, d)
		}
		undefined := open(of, in, x.N, x.Width, d)
		return zeroWhere(feed(of, in, x, d), func(i int) bool { return undefined[i] })
	}
	h.Variant.Result = func(of tap.Key, y oracle.Rows, d tap.Dims, fetch oracle.Fetch) (oracle.Rows, error) {
		undefined := open(of, tap.At(of.Step, of.Layer, tap.VCache), d.C()*d.G, d.D, d)
		p, errP := fetch(tap.At(of.Step, of.Layer, tap.KQSoftMax))
		got, errG := fetch(of)
		v, errV := fetch(tap.At(of.Step, of.Layer, tap.VCache))
		if errP != nil || errG != nil || errV != nil || len(got.V) != len(y.V) {
			return oracle.Rows{}, oracle.ErrNotApplicable
		}
		out := mapped(y, func(_ int, v float64) float64 { return v })
		out.Noise = append([]float64(nil), y.Noise...)
		for g := range d.G {
			var rows []int // positions whose row is not known
			for c := range d.C() {
				if undefined[(c*d.G+g)*d.D] {
					rows = append(rows, c)
				}
			}
			weigh(out, got, p, v, d, g, rows)
		}
		return out, nil
	}
	return h
}

// weigh adds to the sums of a group the part that the unknown rows of positions
// explain: the projection of what is left of ours on their probabilities. They
// are left undefined where too few sums share a row, and where ours is right:
// what explains it then is the cache's own row.
func weigh(out, got, p, v oracle.Rows, d tap.Dims, g int, rows []int) {
	per := d.H / max(d.G, 1)
	var sums []int // (t*H + h) of those that weigh an unknown row
	var columns [][]float64
	for t := range d.T {
		for h := g * per; h < (g+1)*per; h++ {
			at := (h*d.T + t) * d.C()
			for _, c := range rows {
				if p.V[at+c] != 0 {
					sums = append(sums, t*d.H+h)
					break
				}
			}
		}
	}
	for _, c := range rows {
		column := make([]float64, len(sums))
		size := 0.0
		for i, s := range sums {
			column[i] = p.V[(s%d.H*d.T+s/d.H)*d.C()+c]
			size += column[i] * column[i]
		}
		if size > 0 {
			columns = append(columns, column)
		}
	}
	basis := orthonormal(columns)
	fitted := mapped(out, func(_ int, v float64) float64 { return v })
	noise := append([]float64(nil), out.Noise...)
	open, right := len(sums) < perFactor*len(columns), 0
	left := make([]float64, len(sums))
	for dim := range d.D {
		for i, s := range sums {
			left[i] = got.V[s*d.D+dim] - out.V[s*d.D+dim]
			open = open || !finite(left[i])
		}
		fit := project(basis, left)
		for i, s := range sums {
			at := s*d.D + dim
			fitted.V[at] += fit[i]
			noise[at] += f32 * float64(d.C()) * (left[i]*left[i] + fit[i]*fit[i])
			off := got.V[at]
			for c := range d.C() {
				off -= p.V[(s%d.H*d.T+s/d.H)*d.C()+c] * v.V[(c*d.G+g)*d.D+dim]
			}
			if off*off <= oracle.Confidence*noise[at] {
				right++
			}
		}
	}
	open = open || float64(right) > (1-luck)*float64(len(sums)*d.D)
	for _, s := range sums {
		for at := s * d.D; at < (s+1)*d.D; at++ {
			if out.V[at], out.Noise[at] = fitted.V[at], noise[at]; open {
				out.V[at] = math.NaN()
			}
		}
	}
}

// orthonormal is a basis of what the columns span (Gram-Schmidt, twice over).
func orthonormal(columns [][]float64) [][]float64 {
	const negligible = 1e-6 // of a column's length: f32 probabilities say no more
	var basis [][]float64
	for _, c := range columns {
		v := append([]float64(nil), c...)
		for range 2 {
			for i, x := range project(basis, v) {
				v[i] -= x
			}
		}
		if rest := math.Sqrt(dot(v, v)); rest > negligible*math.Sqrt(dot(c, c)) {
			for i := range v {
				v[i] /= rest
			}
			basis = append(basis, v)
		}
	}
	return basis
}

// project is the part of v that lies in what the basis spans.
func project(basis [][]float64, v []float64) []float64 {
	out := make([]float64, len(v))
	for _, b := range basis {
		k := dot(b, v)
		for i, x := range b {
			out[i] += k * x
		}
	}
	return out
}

func dot(a, b []float64) float64 {
	s := 0.0
	for i, x := range a {
		s += x * b[i]
	}
	return s
}
