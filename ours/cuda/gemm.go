package cuda

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"

	"attndiff/ours/device"
)

// blas is cuBLAS.
type blas struct {
	*library
	table   *C.struct_blas
	version string // "13.1.0", known once started
}

// openBlas finds cuBLAS, of no later major version than the driver serves.
func openBlas(folders []string, driverMajor int) (*blas, error) {
	lib, err := blasLibrary.notNewer(driverMajor).find(folders)
	if err != nil {
		return nil, err
	}
	// In C's memory: the gpu keeps it.
	b := &blas{library: lib, table: (*C.struct_blas)(C.calloc(1, C.sizeof_struct_blas))}
	if missing := C.shim_blas(b.table, lib.handle); missing != nil {
		return nil, lib.lacks(missing)
	}
	return b, nil
}

// startBlas makes a handle on the device's stream.
func (d *Device) startBlas(b *blas) error {
	var version C.int
	if status := C.gpu_blas(d.gpu, b.table, &version); status != 0 {
		return fmt.Errorf("start %s: %w", b.path, blasFailure(status))
	}
	// 130100 since version 11, 11 and 12 included.
	v := int(version)
	b.version = fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100)
	return nil
}

// Gemm computes a matrix product with cublasGemmEx, in true f32: operands of
// 16 bits are widened first, which is exact, products and sums are f32
// (CUBLAS_COMPUTE_32F_PEDANTIC). The order of summation is cuBLAS's own; on
// one GPU and stream it is the same every time.
func (d *Device) Gemm(g device.Gemm) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return err
	}
	from := origin{at: g.At}
	if err := d.product(g, from); err != nil {
		if d.lost {
			return err // names the product already
		}
		return fmt.Errorf("%s: %w", from, err)
	}
	return nil
}

func (d *Device) product(g device.Gemm, from origin) error {
	if g.M <= 0 || g.N <= 0 || g.K <= 0 {
		return fmt.Errorf("m, n, k = %d, %d, %d; want positive sizes", g.M, g.N, g.K)
	}
	if g.C.Type != device.F32 {
		return errors.New("operand C is not F32")
	}
	a, err := d.operand(g.A, g.M, g.K, g.TransA)
	if err != nil {
		return fmt.Errorf("operand A: %w", err)
	}
	b, err := d.operand(g.B, g.K, g.N, g.TransB)
	if err != nil {
		return fmt.Errorf("operand B: %w", err)
	}
	c, _, err := d.matrix(g.C, g.M, g.N)
	if err != nil {
		return fmt.Errorf("operand C: %w", err)
	}
	p := C.struct_product{m: C.int(g.M), n: C.int(g.N), k: C.int(g.K), alpha: C.float(g.Alpha), beta: C.float(g.Beta),
		a: a, b: b, c: c, lda: C.int(g.A.Ld), ldb: C.int(g.B.Ld), ldc: C.int(g.C.Ld)}
	if g.TransA {
		p.transa = 1
	}
	if g.TransB {
		p.transb = 1
	}
	d.issued = append(d.issued, from)
	if status := C.gpu_product(d.gpu, &p); status != 0 {
		// cuBLAS hides what the driver said; ask it.
		if err := d.check(C.gpu_wait(d.gpu)); err != nil {
			return err
		}
		return blasFailure(status)
	}
	if err := d.forget(g.C.Buffer.(*buffer)); err != nil {
		return err
	}
	if !d.options.Checks {
		return nil
	}
	if err := d.check(C.gpu_wait(d.gpu)); err != nil {
		return err
	}
	d.issued = d.issued[:0]
	return nil
}

// operand returns the address of op(m)[rows,cols] as f32.
func (d *Device) operand(m device.Matrix, rows, cols int, transposed bool) (C.address, error) {
	if transposed {
		rows, cols = cols, rows
	}
	at, bytes, err := d.matrix(m, rows, cols)
	if err != nil || m.Type == device.F32 {
		return at, err
	}
	return d.widened(m, at, bytes)
}

// matrix returns the address and bytes of a column-major matrix of the given
// size, from its first element to its last.
func (d *Device) matrix(m device.Matrix, rows, cols int) (C.address, int, error) {
	if m.Type != device.F32 && m.Type != device.F16 && m.Type != device.BF16 {
		return 0, 0, fmt.Errorf("element type %d is not F32, F16 or BF16", m.Type)
	}
	if m.Ld < rows {
		return 0, 0, fmt.Errorf("leading dimension %d is less than the %d rows of a column", m.Ld, rows)
	}
	size := m.Type.Size()
	if m.Offset%size != 0 {
		return 0, 0, fmt.Errorf("offset %d is no multiple of the element size %d", m.Offset, size)
	}
	b, err := d.own(m.Buffer)
	if err != nil {
		return 0, 0, err
	}
	// Compared by division: the product could overflow.
	room := (b.size - m.Offset) / size
	if m.Offset < 0 || room < rows || cols-1 > (room-rows)/m.Ld {
		return 0, 0, fmt.Errorf("%d x %d elements with leading dimension %d at offset %d do not fit buffer %q of %d bytes",
			rows, cols, m.Ld, m.Offset, b.label, b.size)
	}
	bytes := ((cols-1)*m.Ld + rows) * size
	at, err := d.part(b, m.Offset, bytes)
	return at, bytes, err
}
