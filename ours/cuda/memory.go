package cuda

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"attndiff/ours/device"
)

const (
	// guardBytes is the size of the guard zones on either side of a buffer:
	// what strays into them reads NaN, or is found afterwards.
	guardBytes = 4096
	// bufferAlign is what buffers start at, as cuMemAlloc's do.
	bufferAlign = 256
)

// buffer is device memory: guard zone, data, guard zone. Without checks there
// are no zones.
type buffer struct {
	owner *Device
	label string
	base  C.address // what the driver gave
	data  C.address
	size  int

	wide map[wideKey]C.address // parts as f32 for GEMM; see widen.go
}

func (b *buffer) Bytes() int    { return b.size }
func (b *buffer) Label() string { return b.label }

// newGPU makes a gpu in C's memory, with a table of its own: C must not keep
// pointers to Go's memory.
func newGPU(table *C.struct_driver) *C.struct_gpu {
	g := (*C.struct_gpu)(C.calloc(1, C.sizeof_struct_gpu))
	held := (*C.struct_driver)(C.malloc(C.sizeof_struct_driver))
	*held = *table
	g.driver = held
	return g
}

func freeGPU(g *C.struct_gpu) {
	C.free(unsafe.Pointer(g.driver))
	C.free(unsafe.Pointer(g.blas))
	C.free(unsafe.Pointer(g))
}

// allocate returns device memory, with an error that says what it was for.
func (d *Device) allocate(n int, label string) (C.address, error) {
	var base C.address
	status := C.gpu_alloc(d.gpu, &base, C.size_t(n))
	if status == outOfMemory {
		return 0, fmt.Errorf("allocate %q: out of GPU memory (%d bytes); free the GPU of other programs, or run a smaller model or prompt", label, n)
	}
	if err := d.check(status); err != nil {
		return 0, fmt.Errorf("allocate %q: %w", label, err)
	}
	return base, nil
}

// Alloc returns a buffer of n bytes, full of NaN (or an ordinary number, see
// [Options]) if the device checks memory.
func (d *Device) Alloc(n int, label string) (device.Buffer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return nil, err
	}
	if n <= 0 {
		return nil, fmt.Errorf("allocate %q: %d bytes; a buffer has at least one", label, n)
	}
	before, after := 0, 0
	if d.options.Checks {
		before, after = guardBytes, guardBytes
	}
	// The zone after the data may start at an odd byte.
	inner := roundUp(before+n+after, bufferAlign)
	base, err := d.allocate(inner, label)
	if err != nil {
		return nil, err
	}
	b := &buffer{owner: d, label: label, base: base, data: base + C.address(before), size: n}
	d.buffers = append(d.buffers, b)
	if d.options.Checks {
		if err := d.check(C.gpu_fill(d.gpu, b.data, C.ushort(d.options.unused()), C.size_t(n+1)/2)); err != nil {
			return nil, fmt.Errorf("fill %q: %w", label, err)
		}
		if err := d.guard(b, inner); err != nil {
			return nil, fmt.Errorf("guard %q: %w", label, err)
		}
	}
	return b, nil
}

// Upload copies src to dst at a byte offset.
func (d *Device) Upload(dst device.Buffer, offset int, src []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	to, err := d.part(dst, offset, len(src))
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	if len(src) == 0 {
		return nil
	}
	if err := d.forget(dst.(*buffer)); err != nil {
		return fmt.Errorf("upload to %q: %w", dst.Label(), err)
	}
	if err := d.check(C.gpu_write(d.gpu, to, unsafe.Pointer(&src[0]), C.size_t(len(src)))); err != nil {
		return fmt.Errorf("upload to %q: %w", dst.Label(), err)
	}
	d.issued = d.issued[:0] // it waited
	return nil
}

// Download waits for all work issued and copies len(dst) bytes out.
func (d *Device) Download(dst []byte, src device.Buffer, offset int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	from, err := d.part(src, offset, len(dst))
	if err != nil {
		return fmt.Errorf("download: %w", err)
	}
	if len(dst) > 0 {
		err = d.check(C.gpu_read(d.gpu, unsafe.Pointer(&dst[0]), from, C.size_t(len(dst))))
	}
	if err == nil {
		err = d.wait()
	}
	if err != nil {
		return fmt.Errorf("download of %q: %w", src.Label(), err)
	}
	return nil
}

// own returns the buffer behind b if it is this device's.
func (d *Device) own(b device.Buffer) (*buffer, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	buf, ok := b.(*buffer)
	if !ok || buf == nil || buf.owner != d {
		return nil, fmt.Errorf("buffer %s is not one of this device", describe(b))
	}
	return buf, nil
}

// part returns the address of length bytes of a buffer from an offset.
func (d *Device) part(b device.Buffer, offset, length int) (C.address, error) {
	buf, err := d.own(b)
	if err != nil {
		return 0, err
	}
	if offset < 0 || length < 0 || offset > buf.size-length {
		return 0, fmt.Errorf("bytes %d to %d of buffer %q, which has %d", offset, offset+length, buf.label, buf.size)
	}
	return buf.data + C.address(offset), nil
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
