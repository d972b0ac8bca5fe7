package cuda

/*
#include "shim.h"
*/
import "C"

import (
	"attndiff/ours/device"
)

// keepWide bounds the f32 copies of 16-bit operands that are kept between
// products: enough for the weights of a 1-billion-parameter model, and few
// enough for a GPU of 8 GB. Beyond it a copy is made for each product.
const keepWide = 4 << 30

// wideBlocks is how many blocks of threads a widening takes at most.
const wideBlocks = 4096

// wideKey names a part of a buffer that is kept as f32.
type wideKey struct {
	offset, bytes int
	dtype         device.DType
}

// wide is what all buffers' copies take, and the room for copies not kept:
// one for each operand of a product.
type wide struct {
	bytes   int
	scratch [2]room
	next    int // of scratch, taken in turn
}

type room struct {
	at    C.address
	bytes int
}

func (w *wide) free(d *Device) {
	for _, r := range w.scratch {
		if r.at != 0 {
			C.gpu_free(d.gpu, r.at)
		}
	}
}

// widened returns the f32 copy of a 16-bit matrix. Weights do not change, so
// their copies are kept until the buffer is written to.
func (d *Device) widened(m device.Matrix, at C.address, bytes int) (C.address, error) {
	b := m.Buffer.(*buffer)
	key := wideKey{m.Offset, bytes, m.Type}
	if copied, ok := b.wide[key]; ok {
		return copied, nil
	}
	n := bytes / m.Type.Size()
	size := n * device.F32.Size()
	var to C.address
	var err error
	if d.wide.bytes+size <= keepWide {
		if to, err = d.allocate(size, b.label+" as f32"); err != nil {
			return 0, err
		}
		if b.wide == nil {
			b.wide = map[wideKey]C.address{}
		}
		b.wide[key] = to
		d.wide.bytes += size
	} else if to, err = d.wide.borrow(d, size); err != nil {
		return 0, err
	}
	kernel := map[device.DType]string{device.F16: "attndiff_widen_f16", device.BF16: "attndiff_widen_bf16"}[m.Type]
	err = d.runOwn(kernel, min(wideBlocks, (n+checkBlock-1)/checkBlock), uint64(at), uint64(to), uint64(n))
	return to, err
}

// borrow returns room that stays as it is until the next product.
func (w *wide) borrow(d *Device, size int) (C.address, error) {
	w.next = 1 - w.next
	r := &w.scratch[w.next]
	if r.bytes < size {
		if r.at != 0 {
			C.gpu_free(d.gpu, r.at) // waits for what still reads it
			*r = room{}
		}
		at, err := d.allocate(size, "weights as f32")
		if err != nil {
			return 0, err
		}
		*r = room{at, size}
	}
	return r.at, nil
}

// forget drops a buffer's f32 copies, because it is about to change or has.
func (d *Device) forget(b *buffer) error {
	for key, at := range b.wide {
		if err := d.check(C.gpu_free(d.gpu, at)); err != nil { // waits for what still reads it
			return err
		}
		d.wide.bytes -= key.bytes / key.dtype.Size() * device.F32.Size()
	}
	b.wide = nil
	return nil
}
