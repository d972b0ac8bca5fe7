package cuda

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"slices"

	"attndiff/ours/device"
	"attndiff/traces/tap"
)

var (
	errClosed = errors.New("the device is closed")
	errLost   = errors.New("the device is lost: the GPU faulted earlier in this process")
)

// failure is a status of the driver that is not success.
type failure struct {
	status     int
	name, text string // as the driver gives them: CUDA_ERROR_ILLEGAL_ADDRESS, an illegal ...
}

func (f *failure) Error() string {
	if f.name == "" {
		return fmt.Sprintf("CUDA driver status %d", f.status)
	}
	return fmt.Sprintf("%s (%s)", f.text, f.name)
}

// failure turns a status into an error.
func (d *driver) failure(status C.int) *failure {
	f := &failure{status: int(status)}
	var name, text *C.char
	C.shim_error(d.table, status, &name, &text)
	if name != nil && text != nil {
		f.name, f.text = C.GoString(name), C.GoString(text)
	}
	return f
}

// The driver's statuses that need words of our own (cuda.h, CUresult).
const outOfMemory = 2

// sticky are the statuses that a fault in a kernel leaves behind: every later
// call in the process returns the same.
var sticky = []int{
	700, // illegal address
	702, // launch timed out
	710, // assert
	714, // hardware stack error
	715, // illegal instruction
	716, // misaligned address
	717, // invalid address space
	718, // invalid program counter
	719, // launch failed
}

// check turns a status into an error, nil for success. After a fault it blames
// the launches that may have caused it, and the device takes no more work.
func (d *Device) check(status C.int) error {
	if status == 0 {
		return nil
	}
	f := d.driver.failure(status)
	if !slices.Contains(sticky, f.status) {
		return f
	}
	d.lost = true
	if len(d.issued) == 0 {
		return f
	}
	first, last := d.issued[0], d.issued[len(d.issued)-1]
	if len(d.issued) == 1 {
		return fmt.Errorf("%s faulted: %w", first, f)
	}
	return fmt.Errorf("one of %d launches, from %s to %s, faulted: %w", len(d.issued), first, last, f)
}

// origin is the launch or product that something came from.
type origin struct {
	kernel string // "" for a product
	at     tap.Key
}

func (o origin) String() string {
	if o.kernel == "" {
		return fmt.Sprintf("GEMM (tap %s)", o.at)
	}
	return fmt.Sprintf("kernel %s (tap %s)", o.kernel, o.at)
}

// Violation is something a kernel did that a GPU does not report.
type Violation struct {
	Kernel string
	At     tap.Key // the tap the launch computed
	What   string
}

// Error says it in one line.
func (v Violation) Error() string { return origin{v.Kernel, v.At}.String() + " " + v.What }

// describe names a buffer in errors about it.
func describe(b device.Buffer) string {
	if own, ok := b.(*buffer); b == nil || ok && own == nil {
		return "nil"
	}
	return fmt.Sprintf("%q", b.Label())
}

// blasFailure is a status of cuBLAS that is not success (cublas_api.h,
// cublasStatus_t).
func blasFailure(status C.int) error {
	name := map[C.int]string{
		1: "not initialised", 3: "out of GPU memory", 7: "invalid value", 8: "GPU too old for this cuBLAS",
		11: "mapping error", 13: "execution failed", 14: "internal error", 15: "not supported", 16: "licence error",
	}[status]
	if name == "" {
		return fmt.Errorf("cuBLAS status %d", status)
	}
	return fmt.Errorf("cuBLAS: %s (status %d)", name, status)
}
