package llamacpp

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"errors"
	"unsafe"
)

// Quantize encodes values as one of ggml's block formats ("Q4_K") with ggml's
// own routine, as llama-quantize does without an importance matrix. values must
// be whole blocks, and raw exactly as long as these are.
func Quantize(ggmlType string, values []float32, raw []byte) error {
	if len(values) == 0 {
		return errors.New("no elements to encode")
	}
	name := C.CString(ggmlType)
	defer C.free(unsafe.Pointer(name))
	var why C.ref_error
	if C.ref_quantize(name, (*C.float)(unsafe.SliceData(values)), C.int64_t(len(values)),
		unsafe.Pointer(unsafe.SliceData(raw)), C.size_t(len(raw)), &why) != 0 {
		return errors.New(C.GoString(&why.text[0]))
	}
	return nil
}
