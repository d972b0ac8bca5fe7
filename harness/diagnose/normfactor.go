package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// normFactorMistakes get the factor of a row wrong in other ways than leaving
// terms out of its sum.
func normFactorMistakes(m Model) []Hypothesis {
	// scaled is a norm whose rows are multiplied by the weight and a factor of
	// their own.
	scaled := func(id, title, fix string, factor func(x, w []float64) float64) Hypothesis {
		return Hypothesis{ID: id, Aspect: "factor", Taps: normTaps, Title: title, Fix: fix,
			Variant: oracle.Variant{Result: func(of tap.Key, y oracle.Rows, _ tap.Dims, fetch oracle.Fetch) (oracle.Rows, error) {
				w := m.Vector(layerName(tensorOf[of.Tap], of.Layer))
				x, err := fetch(oracle.Inputs(of, m.Layers)[0])
				if err != nil || len(w) != y.Width || len(x.V) != len(y.V) {
					return oracle.Rows{}, oracle.ErrNotApplicable
				}
				out := noisier(mapped(y, func(_ int, v float64) float64 { return v }), 16*f32)
				for r := range out.N {
					row := x.V[r*x.Width : (r+1)*x.Width]
					f := factor(row, w)
					for e, v := range row {
						at := r*x.Width + e
						was := out.V[at]
						if out.V[at] = v * f * w[e]; was != 0 {
							out.Noise[at] *= out.V[at] * out.V[at] / (was * was)
						}
					}
				}
				return out, nil
			}}}
	}
	root := func(sum float64, n int) float64 { return 1 / math.Sqrt(sum/float64(n)+m.Right.RMSEps) }
	squares := func(x []float64, term func(e int, v float64) float64) float64 {
		sum := 0.0
		for e, v := range x {
			v = term(e, v)
			sum += v * v
		}
		return sum
	}
	plain := func(_ int, v float64) float64 { return v }
	out := []Hypothesis{
		scaled("norm-weight-in-sum", "the weight is applied before the sum of squares is taken", "Normalise first, then multiply by the weight.",
			func(x, w []float64) float64 {
				return root(squares(x, func(e int, v float64) float64 { return v * w[e] }), len(x))
			}),
	}
	for _, r := range roundings {
		out = append(out, scaled("norm-factor-in-"+r.name, "the factor of a row is rounded to "+r.name, "Keep sums and factors in f32.",
			func(x, _ []float64) float64 { return r.to(root(squares(x, plain), len(x))) }))
	}
	for _, b := range blockSizes {
		out = append(out, scaled(fmt.Sprintf("norm-first-warp-for-each-of-%d", b), fmt.Sprintf("the sum of the first warp is taken for that of each of a block of %d threads", b),
			"Add up warp_sums[w], not one of them over and over.", func(x, _ []float64) float64 {
				first := squares(x, func(e int, v float64) float64 {
					if e%b/warp == 0 {
						return v
					}
					return 0
				})
				return root(first*float64(b)/warp, len(x))
			}))
	}
	return out
}
