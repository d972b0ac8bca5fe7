package oracle

import (
	"fmt"

	"attndiff/traces/tap"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// weightChunk is how many output rows of a matrix are widened to float64 at a
// time: 7 MB at n_embd 896, so that no whole matrix ever is.
const weightChunk = 1024

// linear is y = x W^T for several inputs at once, W[out,in] read and widened
// once for all of them. Mirrors ggml_mul_mat (ggml.c) as build_lora_mm calls
// it. operand[i] is the type that input i's engine narrows activations to.
//
// Noise: y_ti is a dot product whose term j varies by
// v_tj = n*f32*x_tj^2 + narrowing_tj + noise_tj, so its variance is
// sum_j v_tj W_ij^2. That sum is a second matrix product; it is replaced by the
// rank-one form (sum_j v_tj c_j) * r_i / sum r with c_j and r_i the squared
// column and row norms of W, which keeps every row's total exact.
func (o *Oracle) linear(of tap.Key, xs []Rows, name string, operand []string) ([]Rows, error) {
	shape, ok := o.weights.Shape(name)
	if !ok || len(shape) != 2 {
		return nil, fmt.Errorf("model: tensor %s: missing or not a matrix", name)
	}
	out, in := shape[0], shape[1]
	total := 0
	for _, x := range xs {
		if x.Width != in {
			return nil, fmt.Errorf("model: tensor %s wants rows of %d, the trace has %d", name, in, x.Width)
		}
		total += x.N
	}
	stacked := make([]float64, 0, total*in)
	for _, x := range xs {
		stacked = append(stacked, x.V...)
	}
	product := make([]float64, total*out)
	cols, rowNorm := make([]float64, in), make([]float64, out)
	size := min(weightChunk, out)
	if o.variant.Matrix != nil {
		size = out // a misread matrix is misread as a whole
	}
	chunk := make([]float64, size*in)
	for lo := 0; lo < out; lo += size {
		hi := min(lo+size, out)
		w, err := o.weights.Rows(name, lo, hi)
		if err != nil {
			return nil, err
		}
		for i := range hi - lo {
			norm := 0.0
			for j, v := range w[i*in : (i+1)*in] {
				f := float64(v)
				chunk[i*in+j] = f
				cols[j] += f * f
				norm += f * f
			}
			rowNorm[lo+i] = norm
		}
		if o.variant.Matrix != nil {
			chunk = o.variant.Matrix(of, chunk, out, in)
		}
		blas64.Gemm(blas.NoTrans, blas.Trans, 1,
			blas64.General{Rows: total, Cols: in, Stride: in, Data: stacked},
			blas64.General{Rows: hi - lo, Cols: in, Stride: in, Data: chunk}, 0,
			blas64.General{Rows: total, Cols: hi - lo, Stride: out, Data: product[lo:]})
	}
	return o.split(xs, operand, product, cols, rowNorm), nil
}

// split cuts the stacked product back into one result per input and gives each
// its noise.
func (o *Oracle) split(xs []Rows, operand []string, product, cols, rowNorm []float64) []Rows {
	in, out := len(cols), len(rowNorm)
	sum := 0.0
	for _, v := range rowNorm {
		sum += v
	}
	if sum == 0 {
		sum = 1
	}
	ys := make([]Rows, len(xs))
	narrowed := make([]float64, in)
	at := 0
	for i, x := range xs {
		y := Rows{N: x.N, Width: out, V: product[at : at+x.N*out], Noise: make([]float64, x.N*out)}
		at += x.N * out
		for r := range x.N {
			row := x.Row(r)
			operandNoise(narrowed, row, operand[i])
			spread := 0.0
			for j, v := range row {
				spread += (dotNoise(in)*v*v + narrowed[j] + x.noiseAt(r*in+j)) * cols[j]
			}
			for c, norm := range rowNorm {
				y.Noise[r*out+c] = spread * norm / sum
			}
		}
		ys[i] = y
	}
	return ys
}
