package cuda

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"attndiff/ours/device"
	"attndiff/ours/kernels"
)

// Options say how closely the device watches.
type Options struct {
	// Checks fills memory with NaN, looks for stray and missing writes after
	// every launch and waits for it, so that a fault names its kernel. What
	// is found is noted (see [Device.Violations]) and the run goes on.
	Checks bool
	// Ordinary fills memory with a small number instead of NaN. What reads
	// memory that nobody wrote then goes on with a wrong but finite value, so
	// that the ops after it can be judged; missing writes are not looked for.
	Ordinary bool
	// CacheDir is where compiled kernels are kept; "" is the user's cache.
	CacheDir string
}

// Device is a GPU: the first that the driver lists, which CUDA_VISIBLE_DEVICES
// chooses. Its methods may be called from several goroutines; they run one
// after the other.
type Device struct {
	options Options
	driver  *driver
	gpu     *C.struct_gpu // in C's memory: cuBLAS keeps what it points to
	name    string
	kernels map[string]loaded

	multiprocessors int
	early           bool // has programmatic dependent launch

	mu         sync.Mutex
	buffers    []*buffer
	watch      watch
	wide       wide
	issued     []origin // since the last wait
	violations []Violation
	lost       bool // the GPU faulted
	closed     bool
}

// loaded is a kernel on the GPU.
type loaded struct {
	kernels.Kernel
	function unsafe.Pointer
}

var _ device.Device = (*Device)(nil)

// Open finds NVIDIA's libraries and a GPU, compiles the kernels for it, or
// finds them compiled in the cache, and returns a device that runs them.
func Open(src kernels.Source, options Options) (*Device, error) {
	list, err := src.Kernels()
	if err != nil {
		return nil, err
	}
	where := folders()
	drv, err := openDriver(where)
	if err != nil {
		return nil, err
	}
	gpu, err := drv.describe(0)
	if err != nil {
		return nil, err
	}
	nvrtc, err := openCompiler(where, drv.version/1000)
	if err != nil {
		return nil, err
	}
	b, err := openBlas(where, drv.version/1000)
	if err != nil {
		return nil, err
	}
	d := &Device{options: options, driver: drv, kernels: map[string]loaded{}, multiprocessors: gpu.multiprocessors, early: gpu.arch >= 90}
	d.gpu = newGPU(drv.table)
	if status := C.gpu_open(d.gpu, 0); status != 0 {
		err := fmt.Errorf("open %s: %w", gpu.name, drv.failure(status))
		return nil, errors.Join(err, d.Close())
	}
	target, err := nvrtc.target(gpu.arch)
	if err == nil {
		err = d.load(nvrtc, target, src, list)
	}
	if err == nil {
		err = d.startBlas(b)
	}
	if err == nil {
		err = d.startChecks()
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.name = fmt.Sprintf("%s, %s, NVRTC %s, cuBLAS %s", gpu.name, target, nvrtc.version(), b.version)
	return d, nil
}

// load compiles the device's own files and the source's, as many at a time as
// there are processors, and puts them on the GPU. The source's come second: it
// must not replace what checks it.
func (d *Device) load(nvrtc *compiler, t target, src kernels.Source, list []kernels.Kernel) error {
	headers, sources, err := own()
	if err != nil {
		return err
	}
	var files []file
	for _, f := range sources {
		files = append(files, file{f.Name, f.Text, headers})
	}
	theirs, err := units(src)
	if err != nil {
		return err
	}
	images, err := nvrtc.compileAll(append(files, theirs...), t, openCache(d.options.CacheDir))
	if err != nil {
		return err
	}
	modules := map[string]unsafe.Pointer{}
	load := func(name string, image []byte) (unsafe.Pointer, error) {
		image = append(slices.Clone(image), 0) // PTX is a string
		var module unsafe.Pointer
		if status := C.gpu_load(d.gpu, unsafe.Pointer(&image[0]), &module); status != 0 {
			return nil, fmt.Errorf("load %s, compiled by NVRTC %s, with a driver for CUDA %s: %w", name, nvrtc.version(), release(d.driver.version), d.check(status))
		}
		return module, nil
	}
	for i, f := range files {
		module, err := load(f.name, images[i])
		if err != nil {
			return err
		}
		for _, k := range ownKernels[f.name] {
			if err := d.find(k, module); err != nil {
				return err
			}
		}
	}
	for i, f := range theirs {
		if modules[f.name], err = load(f.name, images[len(files)+i]); err != nil {
			return err
		}
	}
	for _, k := range list {
		if _, taken := d.kernels[k.Name]; taken {
			return fmt.Errorf("%s:%d: kernel %s has the name of one of the device's own; rename it", k.File, k.Line, k.Name)
		}
		if err := d.find(k, modules[k.File]); err != nil {
			return err
		}
	}
	return nil
}

// compileAll returns the files' images, from the cache where it has them.
func (c *compiler) compileAll(files []file, t target, store cache) ([][]byte, error) {
	images, errs := make([][]byte, len(files)), make([]error, len(files))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, f := range files {
		key := c.key(f, t)
		if images[i] = store.get(key); images[i] != nil {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if images[i], errs[i] = c.compile(f, t); errs[i] == nil {
				store.put(key, images[i])
			}
		})
	}
	wg.Wait()
	for _, err := range errs { // of several the first file's
		if err != nil {
			return nil, err
		}
	}
	return images, nil
}

// find looks a kernel up in its module.
func (d *Device) find(k kernels.Kernel, module unsafe.Pointer) error {
	name := append([]byte(k.Name), 0)
	var function unsafe.Pointer
	if status := C.gpu_function(d.gpu, module, (*C.char)(unsafe.Pointer(&name[0])), &function); status != 0 {
		return fmt.Errorf("kernel %s is missing from what %s compiled to: %w", k.Name, k.File, d.check(status))
	}
	d.kernels[k.Name] = loaded{k, function}
	return nil
}

// Name says what the device is, and what its numbers depend on.
func (d *Device) Name() string { return d.name }

// Multiprocessors is how many the GPU has.
func (d *Device) Multiprocessors() int { return d.multiprocessors }

// kernelNames lists the kernels there are, for messages.
func (d *Device) kernelNames() string {
	var names []string
	for name, k := range d.kernels {
		if k.File != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// usable says why no work can be done.
func (d *Device) usable() error {
	switch {
	case d.closed:
		return errClosed
	case d.lost:
		return errLost
	}
	return nil
}

// Violations returns what has been found since the device opened, in order.
func (d *Device) Violations() []Violation {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.violations)
}

// Close waits, looks at the guard zones a last time and frees everything. A
// fault that was already reported is not reported again.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	var err error
	if !d.lost && d.gpu.stream != nil {
		err = d.wait()
	}
	d.closed = true
	if !d.lost && d.gpu.context != nil {
		for _, b := range d.buffers {
			C.gpu_free(d.gpu, b.base)
		}
		d.wide.free(d)
		d.watch.free(d)
	}
	d.buffers = nil
	C.gpu_close(d.gpu)
	freeGPU(d.gpu)
	return err
}

// wait waits for all work issued and reads what the checks found.
func (d *Device) wait() error {
	if err := d.collect(); err != nil {
		return err
	}
	if err := d.check(C.gpu_wait(d.gpu)); err != nil {
		return err
	}
	d.issued = d.issued[:0]
	d.note()
	return nil
}
