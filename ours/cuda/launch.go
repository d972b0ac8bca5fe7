package cuda

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"math"
	"strings"
	"unsafe"

	"attndiff/ours/device"
	"attndiff/ours/kernels"
)

// CUDA's limits (CUDA C++ Programming Guide, "Technical Specifications per
// Compute Capability"); the shared memory is what a kernel gets without
// opting in to more. The driver refuses more too, but not in words.
const (
	maxBlockThreads = 1024
	maxSharedBytes  = 48 * 1024
	maxParams       = 32 // shim.c: MAX_PARAMS
)

var (
	maxBlock = [3]int{1024, 1024, 64}
	maxGrid  = [3]int{math.MaxInt32, 65535, 65535}
)

// Launch runs one kernel; without checks it does not wait for its end. What
// cannot be launched is an error.
func (d *Device) Launch(l device.Launch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return err
	}
	from := origin{l.Kernel, l.At}
	k, ok := d.kernels[l.Kernel]
	if !ok {
		return fmt.Errorf("%s: there is no such kernel; there are %s", from, d.kernelNames())
	}
	if err := d.launch(l, k, from); err != nil {
		if d.lost {
			return err // names the launch already
		}
		return fmt.Errorf("%s: %w", from, err)
	}
	return nil
}

func (d *Device) launch(l device.Launch, k loaded, from origin) error {
	grid, block, err := dimensions(l)
	if err != nil {
		return err
	}
	slots, written, err := d.arguments(k.Kernel, l.Args)
	if err != nil {
		return err
	}
	if err := d.before(l.Writes); err != nil {
		return err
	}
	for _, b := range written {
		if err := d.forget(b); err != nil {
			return err
		}
	}
	d.issued = append(d.issued, from)
	if err := d.start(k.function, grid, block, l.SharedBytes, l.Early && d.early, slots); err != nil {
		return err
	}
	return d.after(l.Writes, from)
}

// start hands a kernel to the driver. Each slot is a parameter in its low bytes.
func (d *Device) start(function unsafe.Pointer, grid, block [3]int, shared int, early bool, slots []uint64) error {
	ahead := C.int(0)
	if early {
		ahead = 1
	}
	var g, b [3]C.uint
	for i := range 3 {
		g[i], b[i] = C.uint(grid[i]), C.uint(block[i])
	}
	var first *C.uint64_t
	if len(slots) > 0 {
		first = (*C.uint64_t)(unsafe.Pointer(&slots[0]))
	}
	return d.check(C.gpu_launch(d.gpu, function, &g[0], &b[0], C.uint(shared), ahead, first, C.int(len(slots))))
}

// dimensions checks the launch shape and turns zeros into ones.
func dimensions(l device.Launch) (grid, block [3]int, err error) {
	if grid, err = sizes("grid", l.Grid, maxGrid); err != nil {
		return grid, block, err
	}
	if block, err = sizes("block", l.Block, maxBlock); err != nil {
		return grid, block, err
	}
	if n := block[0] * block[1] * block[2]; n > maxBlockThreads {
		return grid, block, fmt.Errorf("block of %d x %d x %d = %d threads; CUDA allows %d", block[0], block[1], block[2], n, maxBlockThreads)
	}
	if l.SharedBytes < 0 || l.SharedBytes > maxSharedBytes {
		return grid, block, fmt.Errorf("%d bytes of dynamic shared memory; CUDA allows 0 to %d without opting in", l.SharedBytes, maxSharedBytes)
	}
	return grid, block, nil
}

// sizes checks one of the two sizes axis by axis.
func sizes(what string, d device.Dim3, most [3]int) ([3]int, error) {
	n := [3]int{d.X, d.Y, d.Z}
	for i, axis := range []string{"x", "y", "z"} {
		if n[i] == 0 {
			n[i] = 1
		}
		if n[i] < 0 || n[i] > most[i] {
			return n, fmt.Errorf("%s size %s = %d; CUDA allows 1 to %d", what, axis, n[i], most[i])
		}
	}
	return n, nil
}

// arguments fits the arguments to the kernel's parameters and returns the
// buffers that the kernel may write to.
func (d *Device) arguments(k kernels.Kernel, args []device.Arg) (slots []uint64, written []*buffer, err error) {
	if len(args) != len(k.Params) || len(args) > maxParams {
		var names []string
		for _, p := range k.Params {
			names = append(names, p.Name)
		}
		return nil, nil, fmt.Errorf("%d arguments for %d parameters (%s)", len(args), len(k.Params), strings.Join(names, ", "))
	}
	for i, p := range k.Params {
		kind, slot := kernels.Int, uint64(0)
		switch a := args[i].(type) {
		case device.Int:
			slot = uint64(uint32(a))
		case device.Float:
			kind, slot = kernels.Float, uint64(math.Float32bits(float32(a)))
		case device.Pointer:
			kind = kernels.Pointer
			at, err := d.part(a.Buffer, a.Offset, 0)
			if err != nil {
				return nil, nil, fmt.Errorf("argument %s: %w", p.Name, err)
			}
			slot = uint64(at)
			if !p.Const {
				written = append(written, a.Buffer.(*buffer))
			}
		default:
			return nil, nil, fmt.Errorf("argument %s is %T; want a device.Pointer, Int or Float", p.Name, a)
		}
		if kind != p.Kind {
			return nil, nil, fmt.Errorf("argument %s is a %v; the kernel declares %s %s", p.Name, kind, p.Type, p.Name)
		}
		slots = append(slots, slot)
	}
	return slots, written, nil
}
