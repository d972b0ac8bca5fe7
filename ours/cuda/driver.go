package cuda

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
)

// driver is libcuda, initialised.
type driver struct {
	*library
	table   *C.struct_driver
	version int // the newest CUDA it serves: 13000 is 13.0
	count   int // GPUs
}

// properties are what the driver says of a GPU.
type properties struct {
	name  string
	arch  int   // compute capability, 90 for 9.0
	bytes int64 // memory

	multiprocessors int
}

// openDriver finds and initialises the driver. No GPU is an error.
func openDriver(folders []string) (*driver, error) {
	lib, err := driverLibrary.find(folders)
	if err != nil {
		return nil, err
	}
	d := &driver{library: lib, table: new(C.struct_driver)}
	if missing := C.shim_driver(d.table, lib.handle); missing != nil {
		return nil, lib.lacks(missing)
	}
	var version, count C.int
	if status := C.shim_count(d.table, &version, &count); status != 0 {
		return nil, fmt.Errorf("no GPU: %w (%s)", d.failure(status), lib.path)
	}
	if count == 0 {
		return nil, errors.New("no GPU: the driver sees none; check nvidia-smi and CUDA_VISIBLE_DEVICES")
	}
	d.version, d.count = int(version), int(count)
	return d, nil
}

// describe returns the properties of a GPU.
func (d *driver) describe(ordinal int) (properties, error) {
	var name [256]C.char
	var major, minor, multiprocessors C.int
	var bytes C.size_t
	if status := C.shim_describe(d.table, C.int(ordinal), &name[0], C.int(len(name)), &major, &minor, &multiprocessors, &bytes); status != 0 {
		return properties{}, fmt.Errorf("GPU %d: %w", ordinal, d.failure(status))
	}
	return properties{C.GoString(&name[0]), 10*int(major) + int(minor), int64(bytes), int(multiprocessors)}, nil
}

// release spells a version number of the driver's, 13000, as 13.0.
func release(version int) string { return fmt.Sprintf("%d.%d", version/1000, version%1000/10) }
