package emu

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"

	"attndiff/ours/device"
	"attndiff/ours/kernels"
	"attndiff/traces/tap"
)

type tapKey = tap.Key

// Options say how closely the device watches and in which order it runs what
// a GPU runs at the same time.
type Options struct {
	// Checks fills memory with NaN and looks for stray and missing writes.
	// Wild addresses and divergent barriers are noticed without it too.
	Checks bool
	// Strict makes a violation the error of the call that found it. Without,
	// it is only noted (see [Device.Violations]) and the launch counts as
	// done, so that a run with a faulty kernel goes on and its results show
	// what came of it.
	Strict bool
	// Order of blocks, warps and lanes between two barriers: "forward" (also
	// ""), "reverse" or "shuffle". No correct kernel gives other results in
	// another order, so runs in two orders that differ show a missing barrier.
	Order string
	Seed  int64 // for "shuffle"
	// Edge places every buffer against memory that cannot be touched: "end", so
	// that a read past its end is stopped, "start" for one before its start, or
	// "" for guard zones on both sides, where a read finds NaN and goes on.
	Edge string
	// Ordinary fills memory with a small number instead of NaN. What reads
	// memory that nobody wrote then goes on with a wrong but finite value, so
	// that the ops after it can be judged; missing writes are not looked for.
	Ordinary bool
	// Bounds has kernels stopped at an index outside of an array whose size the
	// compiler knows, a local one or one in static shared memory, and at a use of
	// a pointer that it sees to lie outside. They are compiled anew for it, take
	// up to twice as long and round differently, for the compiler finds fewer
	// products to contract.
	Bounds bool
	// Multiprocessors is how many the device says it has, 8 without.
	Multiprocessors int
	// Watch, unless nil, is told of every launch before it runs.
	Watch func(device.Launch)
	// Huge, 1 or -1, fills memory with a number of this sign, larger than any
	// that a model computes, instead of NaN: a maximum passes over NaN.
	Huge int
	// CacheDir is where compiled kernels are kept; "" is the user's cache.
	CacheDir string
}

// Device is the emulated accelerator. Its methods may be called from several
// goroutines; they run one after the other, like work in a stream.
type Device struct {
	options Options
	order   uint32
	kernels map[string]kernels.Kernel
	library *library
	zones   map[uint16][]byte // what untouched guard zones hold, by pattern

	mu         sync.Mutex
	buffers    []*buffer
	wideBytes  int // in all buffers' wide maps
	launches   int
	last       Violation // the last launch's kernel and tap, for late findings
	written    [][]byte  // by the last launch or product: what an early one has to wait for
	violations []Violation
	closed     bool
}

var (
	_ device.Device = (*Device)(nil)

	errClosed = errors.New("the device is closed")
)

// Open compiles the kernels, or finds them compiled in the cache, and returns
// a device that runs them. A kernel that does not compile is an error that
// names its file and line.
func Open(src kernels.Source, options Options) (*Device, error) {
	order, ok := orders[options.Order]
	if !ok {
		return nil, fmt.Errorf("thread order %q: want forward, reverse or shuffle", options.Order)
	}
	if !slices.Contains([]string{"", "start", "end"}, options.Edge) {
		return nil, fmt.Errorf("edge %q: want start, end or none", options.Edge)
	}
	list, err := src.Kernels()
	if err != nil {
		return nil, err
	}
	path, err := build(src, list, options)
	if err != nil {
		return nil, err
	}
	lib, err := openLibrary(path)
	if err != nil {
		return nil, err
	}
	d := newDevice(lib, list, options)
	d.order = order
	return d, nil
}

// newDevice returns a device that runs a library's kernels in forward order.
func newDevice(lib *library, list []kernels.Kernel, options Options) *Device {
	d := &Device{options: options, library: lib, kernels: map[string]kernels.Kernel{}, zones: map[uint16][]byte{}}
	for _, k := range list {
		d.kernels[k.Name] = k
	}
	return d
}

// Name says what the device is.
func (d *Device) Name() string { return "CPU emulator, 1 thread" }

// Multiprocessors says that the device is a small GPU, or as large as its options
// have it: blocks run one after the other here, and still a kernel that shares
// work among them is to do so.
func (d *Device) Multiprocessors() int { return cmp.Or(d.options.Multiprocessors, 8) }

// kernelNames lists the kernels there are, for messages.
func (d *Device) kernelNames() string {
	var names []string
	for name := range d.kernels {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Close frees all buffers, after a last look at their guard zones.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	err := d.note(d.checkGuards(d.buffers, d.last.Kernel, d.last.At))
	d.closed = true
	for _, b := range d.buffers {
		if e := syscall.Munmap(b.mapping); err == nil && e != nil {
			err = fmt.Errorf("free buffer %q: %w", b.label, e)
		}
		b.data, b.wide = nil, nil
	}
	d.buffers = nil
	d.library.release()
	return err
}
