package emu

import (
	"errors"
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"attndiff/ours/device"
)

// Gemm computes a matrix product with BLAS.
//
// A column-major matrix is a row-major one transposed, so the product becomes
// C^T[n,m] = op(B)^T op(A)^T on row-major data. gonum has a loop for each pair
// of transposes; three of the four leave out products with a zero factor, and
// with them the NaN that 0*NaN is on a GPU, where it is what gives away a read
// of memory nobody wrote. The fourth takes dot products of rows. So operands
// whose k is not contiguous are first copied to make it so, which costs
// m*k + n*k copies against m*n*k products:
//
//	C^T[n,m] = Alpha * X[n,k] Y[m,k]^T + Beta * C^T,  X = op(B)^T, Y = op(A)
//
// The sum over k is taken in blocks of 64 for large products (gonum's
// blockSize) and in one run for small ones, in f32 either way.
func (d *Device) Gemm(g device.Gemm) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	fail := func(err error) error { return fmt.Errorf("GEMM (tap %s): %w", g.At, err) }
	if d.closed {
		return errClosed
	}
	if g.M <= 0 || g.N <= 0 || g.K <= 0 {
		return fail(fmt.Errorf("m, n, k = %d, %d, %d; want positive sizes", g.M, g.N, g.K))
	}
	if g.C.Type != device.F32 {
		return fail(errors.New("operand C is not F32"))
	}
	y, err := d.rows(g.A, g.M, g.K, g.TransA)
	if err != nil {
		return fail(fmt.Errorf("operand A: %w", err))
	}
	x, err := d.rows(g.B, g.N, g.K, !g.TransB)
	if err != nil {
		return fail(fmt.Errorf("operand B: %w", err))
	}
	mem, err := d.matrix(g.C, g.M, g.N)
	if err != nil {
		return fail(fmt.Errorf("operand C: %w", err))
	}
	out := blas32.General{Rows: g.N, Cols: g.M, Stride: g.C.Ld, Data: elements[float32](mem)}
	blas32.Gemm(blas.NoTrans, blas.Trans, g.Alpha, x, y, g.Beta, out)
	d.forget(g.C.Buffer.(*buffer))
	d.written = [][]byte{mem}
	return nil
}

// rows returns an operand as n row-major rows of k elements. If contiguous,
// each row is a column of the column-major matrix [k,n] in memory; otherwise
// the matrix is [n,k] and its rows are gathered.
func (d *Device) rows(m device.Matrix, n, k int, contiguous bool) (blas32.General, error) {
	if contiguous {
		data, err := d.widened(m, k, n)
		return blas32.General{Rows: n, Cols: k, Stride: m.Ld, Data: data}, err
	}
	data, err := d.widened(m, n, k)
	if err != nil {
		return blas32.General{}, err
	}
	packed := make([]float32, n*k)
	for j := range k {
		column := data[j*m.Ld : j*m.Ld+n]
		for i, v := range column {
			packed[i*k+j] = v
		}
	}
	return blas32.General{Rows: n, Cols: k, Stride: k, Data: packed}, nil
}

// matrix returns the memory of a column-major matrix of the given size, from
// its first element to its last.
func (d *Device) matrix(m device.Matrix, rows, cols int) ([]byte, error) {
	if m.Ld < rows {
		return nil, fmt.Errorf("leading dimension %d is less than the %d rows of a column", m.Ld, rows)
	}
	size := m.Type.Size()
	if m.Offset%size != 0 {
		return nil, fmt.Errorf("offset %d is no multiple of the element size %d", m.Offset, size)
	}
	b, err := d.own(m.Buffer)
	if err != nil {
		return nil, err
	}
	// Compared by division: the product could overflow.
	room := (len(b.data) - m.Offset) / size
	if m.Offset < 0 || room < rows || cols-1 > (room-rows)/m.Ld {
		return nil, fmt.Errorf("%d x %d elements with leading dimension %d at offset %d do not fit buffer %q of %d bytes",
			rows, cols, m.Ld, m.Offset, b.label, len(b.data))
	}
	return d.part(b, m.Offset, ((cols-1)*m.Ld+rows)*size)
}
