package writer

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"attndiff/traces/gguf"
	"attndiff/traces/half"
)

// A Quantizer encodes whole blocks of a tensor type ("Q4_K") into raw, which is
// exactly as long as they are. It may be called from several goroutines.
type Quantizer func(ggmlType string, values []float32, raw []byte) error

// encode appends values as stored in a tensor type; types that are not encoded
// here go to the quantizer. It refuses what a type cannot hold, NaN and Inf and,
// for F16, what rounds to Inf: such a weight is a mistake made earlier, and
// would surface as garbage much later.
func encode(dst []byte, typ string, values []float32, quantize Quantizer) ([]byte, error) {
	for i, v := range values {
		if !(v-v == 0) {
			return nil, fmt.Errorf("element %d is %v", i, v)
		}
	}
	switch typ {
	case "F32":
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
		}
	case "F16":
		for i, v := range values {
			bits := half.ToF16(v)
			if infinite(bits) {
				return nil, fmt.Errorf("element %d, %v, is out of F16's range", i, v)
			}
			dst = binary.LittleEndian.AppendUint16(dst, bits)
		}
	case "BF16":
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint16(dst, half.ToBF16(v))
		}
	case "Q8_0":
		for ; len(values) > 0; values = values[q8Block:] {
			var err error
			if dst, err = appendQ8(dst, values[:q8Block]); err != nil {
				return nil, err
			}
		}
	default:
		if quantize == nil {
			return nil, fmt.Errorf("type %q cannot be encoded here; %s are", typ, strings.Join(Types(), ", "))
		}
		n, err := gguf.RowBytes(typ, len(values))
		if err != nil {
			return nil, err
		}
		at := len(dst)
		dst = append(dst, make([]byte, n)...)
		return dst, quantize(typ, values, dst[at:])
	}
	return dst, nil
}

const q8Block = 32

// appendQ8 quantises one block as ggml's reference does (ggml-quants.c,
// quantize_row_q8_0_ref): d = amax/127, q = round(x/d) with halves away from
// zero, stored as the f16 of d and 32 signed bytes. q comes from the float32
// d, not from the rounded one that is stored.
func appendQ8(dst []byte, block []float32) ([]byte, error) {
	var amax float32
	for _, v := range block {
		amax = max(amax, float32(math.Abs(float64(v))))
	}
	d := amax / 127
	inverse := 1 / d
	if math.IsInf(float64(inverse), 0) {
		inverse = 0 // d is 0, or so small that its F16 is 0 whatever q is
	}
	scale := half.ToF16(d)
	if infinite(scale) {
		return nil, fmt.Errorf("a block with magnitudes up to %v is out of Q8_0's range", amax)
	}
	dst = binary.LittleEndian.AppendUint16(dst, scale)
	for _, v := range block {
		dst = append(dst, byte(int8(math.Round(float64(v*inverse)))))
	}
	return dst, nil
}

// infinite reports whether the bits of an F16 are those of plus or minus Inf.
func infinite(bits uint16) bool { return bits&0x7fff == 0x7c00 }
