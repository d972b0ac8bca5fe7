package emu

import (
	"fmt"
	"syscall"
	"unsafe"

	"attndiff/ours/device"
)

const (
	// guardBytes is the least size of the guard zones on either side of a
	// buffer: what strays into them reads NaN, or is found afterwards.
	guardBytes = 4096
	// fenceBytes of address space beyond the guard zones cannot be touched:
	// what strays further is stopped in the act. They cost no memory.
	fenceBytes = 1 << 20
	// bufferAlign is what buffers start at; cudaMalloc gives 256.
	bufferAlign = 4096
	// edgeAlign is what buffers start at that end at a fence: the widest load.
	edgeAlign = 16
)

// buffer is device memory: fence, guard zone, data, guard zone, fence.
type buffer struct {
	owner   *Device
	label   string
	mapping []byte
	data    []byte
	before  []byte // guard zones
	after   []byte
	guard   uint16 // what the zones hold until something strays there

	wide map[wideKey][]float32 // parts seen as f32 by GEMM; see widen.go
}

func (b *buffer) Bytes() int    { return len(b.data) }
func (b *buffer) Label() string { return b.label }

// Alloc returns a buffer of n bytes, full of NaN (or an ordinary number, see
// [Options]) if the device checks memory.
func (d *Device) Alloc(n int, label string) (device.Buffer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errClosed
	}
	if n <= 0 {
		return nil, fmt.Errorf("allocate %q: %d bytes; a buffer has at least one", label, n)
	}
	inner := guardBytes + roundUp(n, bufferAlign) + guardBytes
	mapping, err := syscall.Mmap(-1, 0, fenceBytes+inner+fenceBytes,
		syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("allocate %q: out of memory (%d bytes): %w", label, n, err)
	}
	used := mapping[fenceBytes : fenceBytes+inner]
	if err := syscall.Mprotect(used, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
		return nil, fmt.Errorf("allocate %q: out of memory (%d bytes): %w", label, n, err)
	}
	first := guardBytes
	switch d.options.Edge {
	case "start":
		first = 0
	case "end":
		first = inner - roundUp(n, edgeAlign)
	}
	b := &buffer{owner: d, label: label, mapping: mapping, before: used[:first],
		data: used[first : first+n : first+n], after: used[first+n:], guard: d.options.guard(len(d.buffers))}
	if d.options.Checks {
		fill(b.before, b.guard)
		fill(b.data, d.options.unused())
		fill(b.after, b.guard)
	}
	d.buffers = append(d.buffers, b)
	return b, nil
}

// Upload copies src to dst at a byte offset.
func (d *Device) Upload(dst device.Buffer, offset int, src []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	mem, err := d.part(dst, offset, len(src))
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	d.forget(dst.(*buffer))
	copy(mem, src)
	return nil
}

// Download copies len(dst) bytes out. It checks the guard zones of all
// buffers, so that a stray write is found no later than its first use.
func (d *Device) Download(dst []byte, src device.Buffer, offset int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	mem, err := d.part(src, offset, len(dst))
	if err != nil {
		return fmt.Errorf("download: %w", err)
	}
	copy(dst, mem)
	return d.note(d.checkGuards(d.buffers, d.last.Kernel, d.last.At))
}

// own returns the buffer behind b if it is this device's.
func (d *Device) own(b device.Buffer) (*buffer, error) {
	if d.closed {
		return nil, errClosed
	}
	buf, ok := b.(*buffer)
	if !ok || buf == nil || buf.owner != d {
		return nil, fmt.Errorf("buffer %v is not one of this device", describe(b))
	}
	return buf, nil
}

func describe(b device.Buffer) string {
	if b == nil {
		return "nil"
	}
	if own, ok := b.(*buffer); ok && own == nil {
		return "nil"
	}
	return fmt.Sprintf("%q", b.Label())
}

// part returns length bytes of a buffer from an offset.
func (d *Device) part(b device.Buffer, offset, length int) ([]byte, error) {
	buf, err := d.own(b)
	if err != nil {
		return nil, err
	}
	if offset < 0 || length < 0 || offset > len(buf.data)-length {
		return nil, fmt.Errorf("bytes %d to %d of buffer %q, which has %d", offset, offset+length, buf.label, len(buf.data))
	}
	return buf.data[offset : offset+length : offset+length], nil
}

// checkGuards looks for writes to the guard zones of buffers, blames the
// kernel, and mends the zones so that nothing is reported twice.
func (d *Device) checkGuards(list []*buffer, kernel string, at tapKey) []Violation {
	if !d.options.Checks {
		return nil
	}
	var found []Violation
	for _, b := range list {
		// The zone after the data starts with the pattern's low half, as fill
		// does, whatever the parity of its address.
		if first, end, ok := damage(b.after, d.zone(b.guard)); !ok {
			found = append(found, Violation{kernel, at, fmt.Sprintf("wrote %d bytes past the end of buffer %q (%d bytes), at offset %d",
				end-first, b.label, len(b.data), len(b.data)+first)})
			fill(b.after, b.guard)
		}
		if first, end, ok := damage(b.before, d.zone(b.guard)); !ok {
			found = append(found, Violation{kernel, at, fmt.Sprintf("wrote %d bytes before the start of buffer %q, at offset %d",
				end-first, b.label, first-len(b.before))})
			fill(b.before, b.guard)
		}
	}
	return found
}

// zone is what an untouched guard zone of a pattern holds, as long as any.
func (d *Device) zone(pattern uint16) []byte {
	z := d.zones[pattern]
	if z == nil {
		z = make([]byte, 2*guardBytes+bufferAlign)
		fill(z, pattern)
		d.zones[pattern] = z
	}
	return z
}

// locate says where an address lies relative to the nearest buffer.
func (d *Device) locate(address uint64) string {
	var nearest *buffer
	var distance int64 // from the data's start
	const reach = 1 << 30
	for _, b := range d.buffers {
		from := int64(address - uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b.data)))))
		if from < -reach || from > int64(len(b.data))+reach {
			continue
		}
		if nearest == nil || gap(from, len(b.data)) < gap(distance, len(nearest.data)) {
			nearest, distance = b, from
		}
	}
	switch {
	case nearest == nil:
		return "far from every buffer"
	case distance < 0:
		return fmt.Sprintf("%d bytes before the start of buffer %q", -distance, nearest.label)
	default:
		return fmt.Sprintf("%d bytes past the end of buffer %q (%d bytes)", distance-int64(len(nearest.data)), nearest.label, len(nearest.data))
	}
}

// gap is the distance of an offset from data of n bytes.
func gap(offset int64, n int) int64 { return max(-offset, offset-int64(n), 0) }

func roundUp(n, to int) int { return (n + to - 1) / to * to }
