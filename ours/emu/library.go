package emu

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "host.h"
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

// library is one loaded kernel library. Its C++ side keeps the running block
// in static variables, so one launch runs at a time; devices that use the same
// file share it.
type library struct {
	path   string
	handle unsafe.Pointer
	run    unsafe.Pointer
	signal unsafe.Pointer
	close  unsafe.Pointer

	mu      sync.Mutex // held during a launch
	kernels map[string]unsafe.Pointer
	users   int // guarded by loaded.mu
}

// loaded holds the libraries in use, by path.
var loaded = struct {
	mu    sync.Mutex
	paths map[string]*library
}{paths: map[string]*library{}}

// openLibrary loads a library or shares one already loaded.
func openLibrary(path string) (*library, error) {
	loaded.mu.Lock()
	defer loaded.mu.Unlock()
	if l := loaded.paths[path]; l != nil {
		l.users++
		return l, nil
	}
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var why *C.char
	handle := C.host_open(cpath, &why)
	if handle == nil {
		return nil, fmt.Errorf("load kernel library %s: %s; delete the file to have it rebuilt, or set XDG_CACHE_HOME to a folder that programs may be run from", path, C.GoString(why))
	}
	l := &library{path: path, handle: handle, kernels: map[string]unsafe.Pointer{}, users: 1}
	l.run, l.signal, l.close = l.symbol("emu_run"), l.symbol("emu_signal"), l.symbol("emu_close")
	if l.run == nil || l.signal == nil || l.close == nil {
		return nil, fmt.Errorf("load kernel library %s: it is not one; delete the file to have it rebuilt", path)
	}
	loaded.paths[path] = l
	return l, nil
}

// release unloads the library once its last user is gone.
func (l *library) release() {
	loaded.mu.Lock()
	defer loaded.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(loaded.paths, l.path)
		C.host_close(l.handle, l.close)
	}
}

func (l *library) symbol(name string) unsafe.Pointer {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	return C.host_symbol(l.handle, cname)
}

// kernel returns the library's entry of a kernel, nil if it has none.
func (l *library) kernel(name string) unsafe.Pointer {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, ok := l.kernels[name]
	if !ok {
		k = l.symbol("emu_kernel_" + name)
		l.kernels[name] = k
	}
	return k
}

// job is a launch as C sees it, and its outcome.
type job struct {
	kernel      unsafe.Pointer
	label       string
	args        []uint64
	grid, block [3]int
	shared      int
	order       uint32
	seed        uint64
	poison      uint16   // what fresh shared memory holds, 0 for leaving it as it is
	previous    [][]byte // device memory that the kernel must wait for, see emu_launch

	outcome outcome
}

// outcome is how a launch ended.
type outcome struct {
	status   uint32
	signal   int
	address  uint64
	block    [3]int
	thread   [3]int
	message  string
	finished bool // all threads ran to their end
}

// maxArgs is the most parameters a kernel may have here.
const maxArgs = C.HOST_MAX_ARGS

// launch runs the job to its end.
func (l *library) launch(j *job) {
	c := (*C.struct_host_job)(C.calloc(1, C.sizeof_struct_host_job))
	defer C.free(unsafe.Pointer(c))
	for i, a := range j.args {
		c.args[i] = C.uint64_t(a)
	}
	for i := 0; i < len(j.label) && i < C.HOST_LABEL-1; i++ {
		c.label[i] = C.char(j.label[i])
	}
	p := &c.launch
	p.kernel = (*C.struct_emu_kernel)(j.kernel)
	for i := range 3 {
		p.grid[i], p.block[i] = C.uint32_t(j.grid[i]), C.uint32_t(j.block[i])
	}
	p.shared_bytes, p.order, p.seed = C.uint32_t(j.shared), C.uint32_t(j.order), C.uint64_t(j.seed)
	if j.poison != 0 {
		p.poison = C.uint32_t(j.poison)<<16 | C.uint32_t(j.poison)
	}
	if n := len(j.previous); n > 0 {
		regions := unsafe.Slice((*C.struct_emu_region)(C.calloc(C.size_t(n), C.sizeof_struct_emu_region)), n)
		defer C.free(unsafe.Pointer(&regions[0]))
		for i, mem := range j.previous {
			kept := C.malloc(C.size_t(len(mem)))
			defer C.free(kept)
			regions[i] = C.struct_emu_region{data: (*C.char)(unsafe.Pointer(unsafe.SliceData(mem))), kept: (*C.char)(kept), size: C.uint64_t(len(mem))}
		}
		p.previous, p.previous_count = &regions[0], C.uint32_t(n)
	}

	l.mu.Lock()
	C.host_run(l.run, l.signal, c)
	l.mu.Unlock()

	j.outcome = outcome{status: uint32(p.status), finished: p.status == C.EMU_OK}
	if j.outcome.finished {
		return
	}
	j.outcome.signal, j.outcome.address = int(p.signal), uint64(p.address)
	j.outcome.message = C.GoString(&p.message[0])
	for i := range 3 {
		j.outcome.block[i], j.outcome.thread[i] = int(p.at_block[i]), int(p.at_thread[i])
	}
}

// The statuses of abi.h.
const (
	statusDiverged       = C.EMU_DIVERGED
	statusFault          = C.EMU_FAULT
	statusSharedOverflow = C.EMU_SHARED_OVERFLOW
	statusAssert         = C.EMU_ASSERT
	statusNoMemory       = C.EMU_NO_MEMORY
)

// The orders of abi.h by name.
var orders = map[string]uint32{"": C.EMU_FORWARD, "forward": C.EMU_FORWARD, "reverse": C.EMU_REVERSE, "shuffle": C.EMU_SHUFFLE}
