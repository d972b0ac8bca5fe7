package safetensors

import (
	"fmt"
	"math/bits"
)

// DType is an element type, spelled as headers spell it ("F32").
type DType string

// bitsOf is the size of one element of each of the format's types, in bits:
// some of them pack several elements into a byte.
var bitsOf = map[DType]uint64{
	"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
	"BOOL": 8, "U8": 8, "I8": 8,
	"F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
	"U16": 16, "I16": 16, "F16": 16, "BF16": 16,
	"U32": 32, "I32": 32, "F32": 32,
	"U64": 64, "I64": 64, "F64": 64, "C64": 64,
}

// maxBytes bounds a tensor's data, so that offsets never overflow an int64.
const maxBytes = 1 << 60

// byteSize returns the bytes that a tensor of type d and this shape takes.
func byteSize(d DType, shape []int) (int64, error) {
	n, ok := bitsOf[d]
	if !ok {
		return 0, fmt.Errorf("unknown dtype %q", string(d))
	}
	for _, size := range shape {
		if size < 0 {
			return 0, fmt.Errorf("shape %v has a negative size", shape)
		}
		hi, lo := bits.Mul64(n, uint64(size))
		if hi != 0 || lo > maxBytes*8 {
			return 0, fmt.Errorf("shape %v overflows", shape)
		}
		n = lo
	}
	if n%8 != 0 {
		return 0, fmt.Errorf("shape %v of dtype %s does not fill whole bytes", shape, d)
	}
	return int64(n / 8), nil
}
