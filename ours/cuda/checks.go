package cuda

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	"attndiff/ours/device"
	"attndiff/ours/kernels"
)

// The device's own kernels by file; they are not launched through Launch.
var ownKernels = map[string][]kernels.Kernel{
	"checks.cu": {{Name: "attndiff_check_zones"}, {Name: "attndiff_check_written_2"}, {Name: "attndiff_check_written_4"}},
	"widen.cu":  {{Name: "attndiff_widen_f16"}, {Name: "attndiff_widen_bf16"}},
}

// finding and findings are the structs of checks.cu.
type finding struct {
	launch, place, first, last, count uint32
}

type findings struct {
	count uint32
	list  [1024]finding
}

const (
	unwritten   = uint32(1 << 31)
	checkBlock  = 256 // threads
	checkBlocks = 256 // at most, for one region
	zoneBytes   = 24  // a row of the table: address, length and pattern
)

// zone is a guard zone.
type zone struct {
	buffer  *buffer
	start   int // offset from the buffer's data
	length  int
	pattern uint16
}

// watch is what the checks need: the zones, on both sides, and the list of
// findings. It is empty on a device without checks.
type watch struct {
	zones    []zone
	table    C.address // [capacity][3] of address, length and pattern, as checks.cu reads it
	capacity int
	found    C.address
	read     findings // the copy that the host reads
	launches uint32
	regions  map[uint32][]device.Region // by launch since the last wait
	origins  map[uint32]origin
}

// startChecks makes the list of findings.
func (d *Device) startChecks() error {
	if !d.options.Checks {
		return nil
	}
	var err error
	if d.watch.found, err = d.allocate(int(unsafe.Sizeof(findings{})), "findings"); err != nil {
		return err
	}
	d.watch.regions, d.watch.origins = map[uint32][]device.Region{}, map[uint32]origin{}
	return d.clear()
}

func (w *watch) free(d *Device) {
	for _, a := range []C.address{w.table, w.found} {
		if a != 0 {
			C.gpu_free(d.gpu, a)
		}
	}
}

// clear empties the list of findings.
func (d *Device) clear() error {
	return d.check(C.gpu_fill(d.gpu, d.watch.found, 0, C.size_t(unsafe.Sizeof(findings{})/2)))
}

// runOwn runs one of the device's own kernels, which is never to blame.
func (d *Device) runOwn(name string, blocks int, slots ...uint64) error {
	return d.start(d.kernels[name].function, [3]int{blocks, 1, 1}, [3]int{checkBlock, 1, 1}, 0, false, slots)
}

// guard adds a new buffer's zones to the table and fills them. size is all that
// was allocated for it.
func (d *Device) guard(b *buffer, size int) error {
	w := &d.watch
	first := len(w.zones)
	pattern := d.options.guard(first / 2)
	w.zones = append(w.zones, zone{b, -guardBytes, guardBytes, pattern}, zone{b, b.size, size - guardBytes - b.size, pattern})
	if len(w.zones) > w.capacity {
		capacity := max(64, 2*w.capacity)
		table, err := d.allocate(capacity*zoneBytes, "guard zones")
		if err != nil {
			return err
		}
		if w.table != 0 {
			C.gpu_free(d.gpu, w.table) // waits for what still reads it
		}
		w.table, w.capacity, first = table, capacity, 0
	}
	var rows []uint64
	for _, z := range w.zones[first:] {
		rows = append(rows, uint64(z.buffer.data)+uint64(z.start), uint64(z.length), uint64(z.pattern))
	}
	to := w.table + C.address(first*zoneBytes)
	if err := d.check(C.gpu_write(d.gpu, to, unsafe.Pointer(&rows[0]), C.size_t(len(rows)*8))); err != nil {
		return err
	}
	return d.checkZones(2, len(w.zones)-2, filling)
}

// filling is the launch number with which zones are filled and nothing is noted.
const filling = 0

// checkZones looks at n zones from one on, on behalf of a launch.
func (d *Device) checkZones(n, first int, launch uint32) error {
	return d.runOwn("attndiff_check_zones", n,
		uint64(d.watch.table), uint64(d.watch.found), uint64(launch), uint64(first))
}

// before checks the regions a launch writes and fills the fresh ones.
func (d *Device) before(regions []device.Region) error {
	d.watch.launches++
	for _, r := range regions {
		at, err := d.part(r.Buffer, r.Offset, r.Length)
		if err != nil {
			return fmt.Errorf("region to write: %w", err)
		}
		if !r.Fresh || !d.options.Checks || r.Length == 0 {
			continue
		}
		if size := r.Type.Size(); size == 1 || r.Offset%size != 0 || r.Length%size != 0 {
			return fmt.Errorf("region to write: bytes %d to %d of %q are no elements of %d bytes, so cannot be fresh",
				r.Offset, r.Offset+r.Length, r.Buffer.Label(), size)
		}
		if err := d.check(C.gpu_fill(d.gpu, at, C.ushort(d.pattern()), C.size_t(r.Length/2))); err != nil {
			return err
		}
	}
	return nil
}

// pattern is what fresh regions of the current launch are filled with.
func (d *Device) pattern() uint16 {
	if d.options.Ordinary {
		return ordinaryPattern
	}
	return freshPattern(d.watch.launches)
}

// after waits for a launch, so that a fault is known to be its own, and looks
// for writes that strayed or are missing.
func (d *Device) after(regions []device.Region, from origin) error {
	if !d.options.Checks {
		return nil
	}
	if err := d.check(C.gpu_wait(d.gpu)); err != nil {
		return err
	}
	d.issued = d.issued[:0]
	w := &d.watch
	w.origins[w.launches] = from
	if len(w.zones) > 0 {
		if err := d.checkZones(len(w.zones), 0, w.launches); err != nil {
			return err
		}
	}
	if d.options.Ordinary {
		return nil
	}
	for i, r := range regions {
		if !r.Fresh || r.Length == 0 {
			continue
		}
		w.regions[w.launches] = regions
		size := r.Type.Size()
		n := r.Length / size
		at := r.Buffer.(*buffer).data + C.address(r.Offset)
		err := d.runOwn(fmt.Sprintf("attndiff_check_written_%d", size), min(checkBlocks, (n+checkBlock-1)/checkBlock),
			uint64(at), uint64(n), uint64(d.pattern()), uint64(w.found), uint64(w.launches), uint64(i))
		if err != nil {
			return err
		}
	}
	return nil
}

// collect asks for a copy of the findings, which note reads after a wait.
func (d *Device) collect() error {
	w := &d.watch
	if len(w.origins) == 0 {
		return nil
	}
	return d.check(C.gpu_read(d.gpu, unsafe.Pointer(&w.read), w.found, C.size_t(unsafe.Sizeof(w.read))))
}

// note turns findings into violations, in order of launch, and forgets them.
func (d *Device) note() {
	w := &d.watch
	if len(w.origins) == 0 {
		return
	}
	if n := w.read.count; n > 0 {
		list := merge(w.read.list[:min(n, uint32(len(w.read.list)))])
		for _, f := range list {
			from := w.origins[f.launch]
			d.violations = append(d.violations, Violation{from.kernel, from.at, d.explain(f)})
		}
		w.read.count = 0
		// A failure shows at the next call that is checked.
		_ = d.clear()
	}
	clear(w.origins)
	clear(w.regions)
}

// merge orders findings and adds up those that blocks made about one region.
func merge(list []finding) []finding {
	slices.SortFunc(list, func(a, b finding) int {
		if a.launch != b.launch {
			return int(a.launch) - int(b.launch)
		}
		return int(int64(a.place) - int64(b.place))
	})
	var merged []finding
	for _, f := range list {
		if n := len(merged); n > 0 && f.place >= unwritten && merged[n-1].launch == f.launch && merged[n-1].place == f.place {
			merged[n-1].count += f.count
			merged[n-1].first = min(merged[n-1].first, f.first)
			continue
		}
		merged = append(merged, f)
	}
	return merged
}

// explain says what was found.
func (d *Device) explain(f finding) string {
	if f.place >= unwritten {
		r := d.watch.regions[f.launch][f.place-unwritten]
		return fmt.Sprintf("left %d of %d elements of %q unwritten, first at index %d", f.count, r.Length/r.Type.Size(), r.Buffer.Label(), f.first)
	}
	z := d.watch.zones[f.place]
	if z.start < 0 {
		return fmt.Sprintf("wrote %d bytes before the start of buffer %q, at offset %d", f.last-f.first+1, z.buffer.label, int(f.first)+z.start)
	}
	return fmt.Sprintf("wrote %d bytes past the end of buffer %q (%d bytes), at offset %d", f.last-f.first+1, z.buffer.label, z.buffer.size, z.start+int(f.first))
}
