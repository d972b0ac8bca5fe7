package emu

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"attndiff/ours/device"
	"attndiff/ours/kernels"
)

// CUDA's limits (CUDA C++ Programming Guide, "Technical Specifications per
// Compute Capability"); the shared memory is what a kernel gets without
// opting in to more.
const (
	maxBlockThreads = 1024
	maxSharedBytes  = 48 * 1024
)

var (
	maxBlock = [3]int{1024, 1024, 64}
	maxGrid  = [3]int{math.MaxInt32, 65535, 65535}
)

// Launch runs one kernel to its end. What cannot be launched is an error; what
// the kernel does wrong is a [Violation].
func (d *Device) Launch(l device.Launch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	fail := func(err error) error { return fmt.Errorf("%s: %w", label(l.Kernel, l.At), err) }
	k, ok := d.kernels[l.Kernel]
	if !ok {
		return fail(fmt.Errorf("there is no such kernel; there are %s", d.kernelNames()))
	}
	j := job{label: label(l.Kernel, l.At), shared: l.SharedBytes, order: d.order,
		seed: uint64(d.options.Seed) + uint64(d.launches)}
	if d.options.Checks {
		j.poison = d.options.unused()
		if l.Early {
			j.previous = d.written
		}
	}
	if j.kernel = d.library.kernel(k.Name); j.kernel == nil {
		return fail(fmt.Errorf("the kernel library lacks it; delete %s to have it rebuilt", d.library.path))
	}
	var err error
	if j.grid, j.block, err = dimensions(l); err != nil {
		return fail(err)
	}
	touched, err := d.arguments(&j, k, l.Args)
	if err != nil {
		return fail(err)
	}
	pattern := freshPattern(d.launches)
	if d.options.Ordinary {
		pattern = ordinaryPattern
	}
	fresh, err := d.freshen(l.Writes, pattern)
	if err != nil {
		return fail(err)
	}
	for i, p := range k.Params {
		if p.Kind == kernels.Pointer && !p.Const {
			d.forget(l.Args[i].(device.Pointer).Buffer.(*buffer))
		}
	}

	if d.options.Watch != nil {
		d.options.Watch(l)
	}
	d.library.launch(&j)

	var found []Violation
	if !j.outcome.finished {
		if j.outcome.status == statusNoMemory {
			return fail(fmt.Errorf("out of memory for the stacks of its threads"))
		}
		found = append(found, Violation{k.Name, l.At, d.explain(j.outcome)})
	}
	found = append(found, d.checkGuards(touched, k.Name, l.At)...)
	if j.outcome.finished && !d.options.Ordinary {
		found = append(found, leftOut(fresh, pattern, k.Name, l.At)...)
	}
	d.launches++
	d.last = Violation{Kernel: k.Name, At: l.At}
	d.written = d.writes(l.Writes)
	return d.note(found)
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
	if n := float64(grid[0]) * float64(grid[1]) * float64(grid[2]); n > math.MaxUint32 {
		return grid, block, fmt.Errorf("grid of %.0f blocks; the emulator runs at most %d", n, uint32(math.MaxUint32))
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

// alignments of what kernels point to; a GPU faults on a misaligned access.
var alignments = map[string]int{"float *": 4, "int *": 4, "unsigned *": 4, "unsigned int *": 4, "__half *": 2, "half *": 2,
	"__nv_bfloat16 *": 2, "__half2 *": 4, "float2 *": 8, "float4 *": 16, "int4 *": 16, "uint4 *": 16}

// arguments fits the arguments to the kernel's parameters and returns the
// buffers among them.
func (d *Device) arguments(j *job, k kernels.Kernel, args []device.Arg) ([]*buffer, error) {
	if len(args) != len(k.Params) || len(args) > maxArgs {
		var names []string
		for _, p := range k.Params {
			names = append(names, p.Name)
		}
		return nil, fmt.Errorf("%d arguments for %d parameters (%s)", len(args), len(k.Params), strings.Join(names, ", "))
	}
	var touched []*buffer
	for i, p := range k.Params {
		kind, slot := kernels.Int, uint64(0)
		switch a := args[i].(type) {
		case device.Int:
			slot = uint64(uint32(a))
		case device.Float:
			kind, slot = kernels.Float, uint64(math.Float32bits(float32(a)))
		case device.Pointer:
			kind = kernels.Pointer
			b, err := d.own(a.Buffer)
			if err != nil {
				return nil, fmt.Errorf("argument %s: %w", p.Name, err)
			}
			if a.Offset < 0 || a.Offset > len(b.data) {
				return nil, fmt.Errorf("argument %s: offset %d in buffer %q of %d bytes", p.Name, a.Offset, b.label, len(b.data))
			}
			if align := max(1, alignments[p.Type]); a.Offset%align != 0 {
				return nil, fmt.Errorf("argument %s: offset %d in buffer %q is no multiple of %d, as %s needs", p.Name, a.Offset, b.label, align, p.Type)
			}
			slot = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b.data)))) + uint64(a.Offset)
			if !slices.Contains(touched, b) {
				touched = append(touched, b)
			}
		default:
			return nil, fmt.Errorf("argument %s is %T; want a device.Pointer, Int or Float", p.Name, a)
		}
		if kind != p.Kind {
			return nil, fmt.Errorf("argument %s is a %v; the kernel declares %s %s", p.Name, kind, p.Type, p.Name)
		}
		j.args = append(j.args, slot)
	}
	return touched, nil
}

// output is a fresh region before and after a launch.
type output struct {
	region device.Region
	mem    []byte
}

// freshen checks the regions a launch writes and fills the fresh ones.
func (d *Device) freshen(regions []device.Region, pattern uint16) ([]output, error) {
	var fresh []output
	for _, r := range regions {
		mem, err := d.part(r.Buffer, r.Offset, r.Length)
		if err != nil {
			return nil, fmt.Errorf("region to write: %w", err)
		}
		if !r.Fresh || !d.options.Checks {
			continue
		}
		if size := r.Type.Size(); size == 1 || r.Offset%size != 0 || r.Length%size != 0 {
			return nil, fmt.Errorf("region to write: bytes %d to %d of %q are no elements of %d bytes, so cannot be fresh",
				r.Offset, r.Offset+r.Length, r.Buffer.Label(), size)
		}
		fresh = append(fresh, output{r, mem})
	}
	for _, o := range fresh {
		fill(o.mem, pattern)
	}
	return fresh, nil
}

// writes is the memory behind the regions that a launch wrote.
func (d *Device) writes(regions []device.Region) [][]byte {
	var list [][]byte
	for _, r := range regions {
		if mem, err := d.part(r.Buffer, r.Offset, r.Length); err == nil && len(mem) > 0 { // freshen looked
			list = append(list, mem)
		}
	}
	return list
}

// leftOut finds elements that a launch should have written and did not.
func leftOut(fresh []output, pattern uint16, kernel string, at tapKey) []Violation {
	var found []Violation
	for _, o := range fresh {
		if count, first := unwritten(o.mem, pattern, o.region.Type); count > 0 {
			found = append(found, Violation{kernel, at, fmt.Sprintf("left %d of %d elements of %q unwritten, first at index %d",
				count, len(o.mem)/o.region.Type.Size(), o.region.Buffer.Label(), first)})
		}
	}
	return found
}

// explain says what stopped a launch.
func (d *Device) explain(o outcome) string {
	who := fmt.Sprintf("block (%d,%d,%d) thread (%d,%d,%d)", o.block[0], o.block[1], o.block[2], o.thread[0], o.thread[1], o.thread[2])
	switch o.status {
	case statusDiverged:
		return fmt.Sprintf("barrier divergence in block (%d,%d,%d): %s", o.block[0], o.block[1], o.block[2], o.message)
	case statusSharedOverflow:
		return fmt.Sprintf("block (%d,%d,%d) %s", o.block[0], o.block[1], o.block[2], o.message)
	case statusFault:
		return fmt.Sprintf("crashed at %s: %s", who, d.explainSignal(o))
	default:
		return fmt.Sprintf("stopped at %s: %s", who, o.message)
	}
}

// explainSignal says what a signal means in a kernel.
func (d *Device) explainSignal(o outcome) string {
	if o.message != "" {
		return o.message
	}
	switch syscall.Signal(o.signal) {
	case syscall.SIGSEGV, syscall.SIGBUS:
		return fmt.Sprintf("access to address %#x, %s", o.address, d.locate(o.address))
	case syscall.SIGFPE:
		return "integer division by zero, undefined on a GPU"
	default:
		return "trap"
	}
}
