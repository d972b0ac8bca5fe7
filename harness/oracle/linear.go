package oracle

import (
	"fmt"

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
func (o *Oracle) linear(xs []rows, name string, operand []string) ([]rows, error) {
	shape, ok := o.weights.Shape(name)
	if !ok || len(shape) != 2 {
		return nil, fmt.Errorf("model: tensor %s: missing or not a matrix", name)
	}
	out, in := shape[0], shape[1]
	total := 0
	for _, x := range xs {
		if x.width != in {
			return nil, fmt.Errorf("model: tensor %s wants rows of %d, the trace has %d", name, in, x.width)
		}
		total += x.n
	}
	stacked := make([]float64, 0, total*in)
	for _, x := range xs {
		stacked = append(stacked, x.v...)
	}
	product := make([]float64, total*out)
	cols, rowNorm := make([]float64, in), make([]float64, out)
	chunk := make([]float64, min(weightChunk, out)*in)
	for lo := 0; lo < out; lo += weightChunk {
		hi := min(lo+weightChunk, out)
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
		blas64.Gemm(blas.NoTrans, blas.Trans, 1,
			blas64.General{Rows: total, Cols: in, Stride: in, Data: stacked},
			blas64.General{Rows: hi - lo, Cols: in, Stride: in, Data: chunk}, 0,
			blas64.General{Rows: total, Cols: hi - lo, Stride: out, Data: product[lo:]})
	}
	return o.split(xs, operand, product, cols, rowNorm), nil
}

// split cuts the stacked product back into one result per input and gives each
// its noise.
func (o *Oracle) split(xs []rows, operand []string, product, cols, rowNorm []float64) []rows {
	in, out := len(cols), len(rowNorm)
	sum := 0.0
	for _, v := range rowNorm {
		sum += v
	}
	if sum == 0 {
		sum = 1
	}
	ys := make([]rows, len(xs))
	narrowed := make([]float64, in)
	at := 0
	for i, x := range xs {
		y := rows{n: x.n, width: out, v: product[at : at+x.n*out], noise: make([]float64, x.n*out)}
		at += x.n * out
		for r := range x.n {
			row := x.row(r)
			operandNoise(narrowed, row, operand[i])
			spread := 0.0
			for j, v := range row {
				spread += (dotNoise(in)*v*v + narrowed[j] + x.noiseAt(r*in+j)) * cols[j]
			}
			for c, norm := range rowNorm {
				y.noise[r*out+c] = spread * norm / sum
			}
		}
		ys[i] = y
	}
	return ys
}
