package oracle

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"attndiff/traces/tap"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// weightChunk is how many output rows of a matrix are widened to float64 at a
// time: 7 MB at n_embd 896, so that no whole matrix ever is.
const weightChunk = 1024

// chunks are widened weights that are no longer needed: to clear new memory for
// each product takes as long as to fill it.
var chunks = sync.Pool{New: func() any { return new([]float64) }}

// product is y = x W^T for several inputs at once, W[out,in] read and widened
// once for all of them. Mirrors ggml_mul_mat (ggml.c) as build_lora_mm calls
// it.
type product struct {
	o          *Oracle
	of         tap.Key
	name       string // of W
	out, in    int
	xs         []Rows
	how        []multiply // how each input's engine does it
	accumulate func(sum, term float64) float64

	cols, rows []float64 // squared norms of W's columns and rows
}

// compute returns one result per input.
//
// Noise: the sum's own is that of a sum of one sign (sumNoise) on top of one
// of either (dotNoise). y_ti is a dot product whose term j varies by
// v_tj = n*f32*x_tj^2 + narrowing_tj + noise_tj and what the engine's way of
// multiplying adds, so its variance is
// sum_j v_tj W_ij^2. That sum is a second matrix product; it is replaced by the
// rank-one form (sum_j v_tj c_j) * r_i / sum r with c_j and r_i the squared
// column and row norms of W, which keeps every row's total exact.
func (p *product) compute() ([]Rows, error) {
	shape, ok := p.o.weights.Shape(p.name)
	misread := p.o.variant.Matrix != nil
	switch {
	case !ok || len(shape) != 2:
		return nil, ErrNotApplicable
	case shape[1] == p.in && shape[0] > p.out: // the first rows of a taller one
	case tap.Elements(shape) != p.out*p.in:
		return nil, ErrNotApplicable
	case shape[0] != p.out:
		misread = true // read as it lies
	}
	total := 0
	for _, x := range p.xs {
		if x.Width != p.in && p.o.variant.Read != nil {
			return nil, ErrNotApplicable
		}
		if x.Width != p.in {
			return nil, fmt.Errorf("model: tensor %s wants rows of %d, the trace has %d", p.name, p.in, x.Width)
		}
		total += x.N
	}
	stacked := make([]float64, 0, total*p.in)
	for _, x := range p.xs {
		stacked = append(stacked, x.V...)
	}
	result := make([]float64, total*p.out)
	p.cols, p.rows = make([]float64, p.in), make([]float64, p.out)
	size := min(weightChunk, p.out)
	if misread {
		size = p.out // a misread matrix is misread as a whole
	}
	widened := chunks.Get().(*[]float64)
	defer chunks.Put(widened)
	*widened = slices.Grow((*widened)[:0], size*p.in)[:size*p.in]
	chunk := *widened
	for lo := 0; lo < p.out; lo += size {
		hi := min(lo+size, p.out)
		first, last := lo, hi
		if misread {
			first, last = 0, shape[0]
			if shape[1] == p.in {
				last = p.out
			}
		}
		w, err := p.o.weights.Rows(p.name, first, last)
		if err != nil {
			return nil, err
		}
		for i, v := range w {
			chunk[i] = float64(v)
		}
		if p.o.variant.Matrix != nil {
			chunk = p.o.variant.matrix(p.of, chunk, p.out, p.in)
		}
		p.measure(chunk, lo, hi)
		p.multiply(result[lo:], stacked, chunk, total, hi-lo)
	}
	return p.split(result), nil
}

// measure adds up the squared norms of rows lo to hi; what a misread leaves
// undefined has none.
func (p *product) measure(chunk []float64, lo, hi int) {
	for i := range hi - lo {
		norm := 0.0
		for j, v := range chunk[i*p.in : (i+1)*p.in] {
			if math.IsNaN(v) {
				continue
			}
			p.cols[j] += v * v
			norm += v * v
		}
		p.rows[lo+i] = norm
	}
}

// multiply computes n columns of the result, whose rows lie p.out apart.
func (p *product) multiply(result, x, w []float64, rows, n int) {
	if p.accumulate == nil {
		blas64.Gemm(blas.NoTrans, blas.Trans, 1,
			blas64.General{Rows: rows, Cols: p.in, Stride: p.in, Data: x},
			blas64.General{Rows: n, Cols: p.in, Stride: p.in, Data: w}, 0,
			blas64.General{Rows: rows, Cols: n, Stride: p.out, Data: result})
		return
	}
	s := Semantics{Accumulate: p.accumulate}
	for r := range rows {
		for i := range n {
			result[r*p.out+i] = s.dot(x[r*p.in:(r+1)*p.in], w[i*p.in:(i+1)*p.in])
		}
	}
}

// split cuts the stacked result back into one per input and gives each its
// noise.
func (p *product) split(result []float64) []Rows {
	sum := 0.0
	for _, v := range p.rows {
		sum += v
	}
	if sum == 0 {
		sum = 1
	}
	ys := make([]Rows, len(p.xs))
	narrowed := make([]float64, p.in)
	at := 0
	for i, x := range p.xs {
		how := p.how[i]
		y := Rows{N: x.N, Width: p.out, V: result[at : at+x.N*p.out], Noise: make([]float64, x.N*p.out)}
		at += x.N * p.out
		for r := range x.N {
			row := x.Row(r)
			operandNoise(narrowed, row, how.operand)
			spread, size := 0.0, squares(row)
			for j, v := range row {
				spread += ((dotNoise(p.in)+how.dot+how.matrix)*v*v + narrowed[j] + x.noiseAt(r*p.in+j)) * p.cols[j]
			}
			for c, norm := range p.rows {
				v := y.V[r*p.out+c]
				y.Noise[r*p.out+c] = spread*norm/sum + (sumNoise(p.in)+how.sum)*v*v + how.floor
				if overflows(math.Sqrt(size * norm)) {
					y.open(r*p.out+c, r*p.out+c+1)
				}
			}
		}
		ys[i] = y
	}
	return ys
}
