package llamacpp

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"errors"
	"unsafe"
)

// Dequantize decodes a tensor of one of ggml's block formats ("Q4_K", "q6_K":
// ggml's name, in any case) with ggml's own routine. len(dst) is the number of
// elements and must be whole blocks; raw must be exactly their bytes.
func Dequantize(ggmlType string, raw []byte, dst []float32) error {
	if len(dst) == 0 {
		return errors.New("no elements to decode")
	}
	name := C.CString(ggmlType)
	defer C.free(unsafe.Pointer(name))
	var why C.ref_error
	if C.ref_dequantize(name, unsafe.Pointer(unsafe.SliceData(raw)), C.size_t(len(raw)),
		(*C.float)(unsafe.SliceData(dst)), C.int64_t(len(dst)), &why) != 0 {
		return errors.New(C.GoString(&why.text[0]))
	}
	return nil
}
