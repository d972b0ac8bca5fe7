package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// saturated looks at softmax rows that put everything on one of several
// positions: the largest probability is 1 as f16 would store it. The score is
// how many halvings lie between it and 1, in units of those f16 has.
func (v *view) saturated() (reading, error) {
	x, err := v.own()
	if err != nil || x == nil {
		return reading{}, err
	}
	d := v.dims()
	cells := d.C()
	n := len(x) / cells
	marks, top, at := make([]float64, n), make([]float64, n), make([]int, n)
	full, several := 0, 0
	for r := range n {
		for c, p := range x[r*cells : (r+1)*cells] {
			if p > top[r] {
				top[r], at[r] = p, r*cells+c
			}
		}
		if d.P+r%d.T == 0 {
			continue // one position has everything by definition
		}
		several++
		rest := math.Max(1-top[r], oracle.UnitF32) // below that f32 says 1
		marks[r] = math.Log2(rest) / math.Log2(oracle.UnitF16)
		if marks[r] > 1 {
			full++
		}
	}
	return reading{scores: marks, values: top, at: at, scale: 1, what: func(r int) string {
		return fmt.Sprintf("a softmax row with %.6g on one position, like %d of %d rows here", top[r], full, several)
	}}, nil
}

// gains looks at the weight of a norm as it acts: what comes out over what goes
// in, times the root mean square that it divides by.
func (v *view) gains() (reading, error) {
	hp := v.trace.Meta().Hparams
	y, x, err := v.with(oracle.Inputs(v.key, hp.NLayer)[0])
	if err != nil || y == nil {
		return reading{}, err
	}
	d := v.dims()
	weight, at := make([]float64, d.E), make([]int, d.E)
	peak := make([]float64, d.E) // of the input: where the quotient is best known
	for r := range d.T {
		row := x[r*d.E : (r+1)*d.E]
		size := math.Sqrt(rms(row)*rms(row) + hp.RMSEps)
		for i, e := range row {
			if math.Abs(e) > peak[i] {
				peak[i], at[i] = math.Abs(e), r*d.E+i
				weight[i] = y[r*d.E+i] * size / e
			}
		}
	}
	marks, median := outliers(weight)
	return reading{scores: marks, values: weight, at: at, scale: rms(weight), what: func(i int) string {
		return fmt.Sprintf("a norm weight of %.3g, %s the median weight", weight[i], times(weight[i], median))
	}}, nil
}

// growth looks at how much larger the residual stream is than the embedding it
// began as. Each layer adds two terms; were they as large as the embedding and
// all alike, the stream would be 1 + 2*layers times as large.
func (v *view) growth() (reading, error) {
	x, e, err := v.with(tap.At(v.key.Step, tap.NoLayer, tap.InpEmbd))
	size, began := rms(x), rms(e)
	if err != nil || !(began > 0) {
		return reading{}, err
	}
	alike := float64(1 + 2*(v.key.Layer+1))
	return reading{scores: []float64{size / began / alike}, values: []float64{size}, at: []int{-1}, scale: size,
		what: func(int) string {
			return fmt.Sprintf("a residual stream of root mean square %.3g, %s the embedding's", size, times(size, began))
		}}, nil
}
