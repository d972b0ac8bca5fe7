package session

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"attndiff/traces/tap"
)

// mark is one word of memory that a worker shares with the harness: the last
// recording made in the current pass. Setting it is a store, so that it can be
// done at every tap without slowing the engine, and it outlives the worker
// however that ends.
type mark struct {
	mem  []byte
	word *atomic.Uint64
}

// markBytes is the size of the shared file, which holds one word.
const markBytes = 8

// newMark makes a mark and the file that hands it to a worker.
func newMark() (*mark, *os.File, error) {
	fd, err := unix.MemfdCreate("attndiff-mark", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("memory shared with a worker: %w", err)
	}
	file := os.NewFile(uintptr(fd), "mark")
	if err := file.Truncate(markBytes); err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("memory shared with a worker: %w", err)
	}
	m, err := openMark(file)
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return m, file, nil
}

// openMark maps the memory behind a file that newMark made.
func openMark(file *os.File) (*mark, error) {
	mem, err := syscall.Mmap(int(file.Fd()), 0, markBytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("memory shared with a worker: %w", err)
	}
	return &mark{mem, (*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(mem)))}, nil
}

// The word is 0 for no recording, else 1 + step, layer + 1 and tap in fields
// of these widths.
const (
	tapBits   = 8
	layerBits = 24
)

func (m *mark) set(k tap.Key) {
	m.word.Store(uint64(1+k.Step)<<(layerBits+tapBits) | uint64(k.Layer+1)<<tapBits | uint64(k.Tap))
}

func (m *mark) clear() { m.word.Store(0) }

// String spells the recording as traces do, "" for none.
func (m *mark) String() string {
	w := m.word.Load()
	if w == 0 {
		return ""
	}
	return tap.Key{
		Step:  int(w>>(layerBits+tapBits)) - 1,
		Layer: int(w>>tapBits&(1<<layerBits-1)) - 1,
		Tap:   tap.Tap(w & (1<<tapBits - 1)),
	}.String()
}

// close unmaps the memory; the mark must not be used afterwards.
func (m *mark) close() { _ = syscall.Munmap(m.mem) }
