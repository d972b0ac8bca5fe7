package gguf

import (
	"encoding/binary"
	"fmt"
	"math"

	"attndiff/traces/half"
)

// A Dequantizer decodes whole rows of a tensor type ("Q4_K") into dst; raw
// holds exactly len(dst) elements. It may be called from several goroutines.
type Dequantizer func(ggmlType string, raw []byte, dst []float32) error

// decodable reports whether [Decode] knows a type.
func decodable(typ string) bool {
	switch typ {
	case "F32", "F16", "BF16", "Q8_0":
		return true
	}
	return false
}

// Decode decodes F32, F16, BF16 and Q8_0. Every value of these types is a
// float32, so nothing is rounded but the product of Q8_0, where it is the one
// rounding that ggml does as well (ggml-quants.c, dequantize_row_q8_0).
func Decode(typ string, raw []byte, dst []float32) error {
	if !decodable(typ) {
		return fmt.Errorf("type %s cannot be decoded here", typ)
	}
	want, err := RowBytes(typ, len(dst))
	if err != nil {
		return err
	}
	if len(raw) != want {
		return fmt.Errorf("%d elements of %s take %d bytes, not %d", len(dst), typ, want, len(raw))
	}
	switch typ {
	case "F32":
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	case "F16":
		half.WidenF16(dst, raw)
	case "BF16":
		half.WidenBF16(dst, raw)
	case "Q8_0":
		decodeQ8(raw, dst)
	}
	return nil
}

// decodeQ8 decodes blocks of 32: an f16 scale d, then 32 signed bytes q;
// the values are d*q.
func decodeQ8(raw []byte, dst []float32) {
	for len(dst) > 0 {
		d := half.FromF16(binary.LittleEndian.Uint16(raw))
		for i, q := range raw[2:34] {
			dst[i] = d * float32(int8(q))
		}
		raw, dst = raw[34:], dst[32:]
	}
}
