package gguf

import "fmt"

// ggmlType is how one tensor type is stored: blocks of a fixed number of
// elements in a fixed number of bytes.
type ggmlType struct {
	Name       string
	BlockElems int // elements per block; a row is a whole number of blocks
	BlockBytes int
}

// ggmlTypes are the types of ggml.h's enum ggml_type that a file may hold,
// with the sizes of ggml.c's type_traits. Numbers that are missing were
// removed from ggml and are refused, as ggml refuses them.
var ggmlTypes = map[uint32]ggmlType{
	0: {"F32", 1, 4}, 1: {"F16", 1, 2}, 30: {"BF16", 1, 2}, 28: {"F64", 1, 8},
	24: {"I8", 1, 1}, 25: {"I16", 1, 2}, 26: {"I32", 1, 4}, 27: {"I64", 1, 8},

	2: {"Q4_0", 32, 18}, 3: {"Q4_1", 32, 20}, 6: {"Q5_0", 32, 22}, 7: {"Q5_1", 32, 24},
	8: {"Q8_0", 32, 34}, 9: {"Q8_1", 32, 36}, 20: {"IQ4_NL", 32, 18}, 39: {"MXFP4", 32, 17},

	10: {"Q2_K", 256, 84}, 11: {"Q3_K", 256, 110}, 12: {"Q4_K", 256, 144}, 13: {"Q5_K", 256, 176},
	14: {"Q6_K", 256, 210}, 15: {"Q8_K", 256, 292}, 16: {"IQ2_XXS", 256, 66}, 17: {"IQ2_XS", 256, 74},
	18: {"IQ3_XXS", 256, 98}, 19: {"IQ1_S", 256, 50}, 21: {"IQ3_S", 256, 110}, 22: {"IQ2_S", 256, 82},
	23: {"IQ4_XS", 256, 136}, 29: {"IQ1_M", 256, 56}, 34: {"TQ1_0", 256, 54}, 35: {"TQ2_0", 256, 66},
}

// TypeID returns the number GGUF files store for a tensor type ("F16" is 1).
func TypeID(name string) (uint32, error) {
	for id, t := range ggmlTypes {
		if t.Name == name {
			return id, nil
		}
	}
	return 0, fmt.Errorf("unknown tensor type %q; F32, F16, BF16 and Q8_0 are read and written", name)
}

// RowBytes returns the bytes that a row of n elements takes in a tensor type.
// A row must be a whole number of the type's blocks.
func RowBytes(typ string, n int) (int, error) {
	id, err := TypeID(typ)
	if err != nil {
		return 0, err
	}
	t := ggmlTypes[id]
	if n%t.BlockElems != 0 {
		return 0, fmt.Errorf("%s needs rows of a multiple of %d elements, not %d", typ, t.BlockElems, n)
	}
	return n / t.BlockElems * t.BlockBytes, nil
}

// The types of metadata values, gguf.h's enum gguf_type.
const (
	valUint8 uint32 = iota
	valInt8
	valUint16
	valInt16
	valUint32
	valInt32
	valFloat32
	valBool
	valString
	valArray
	valUint64
	valInt64
	valFloat64
)

// valueTypes names the metadata types and gives the bytes of the fixed ones.
var valueTypes = map[uint32]struct {
	Name  string
	Bytes int64
}{
	valUint8: {"uint8", 1}, valInt8: {"int8", 1}, valUint16: {"uint16", 2}, valInt16: {"int16", 2},
	valUint32: {"uint32", 4}, valInt32: {"int32", 4}, valFloat32: {"float32", 4}, valBool: {"bool", 1},
	valString: {"string", 0}, valArray: {"array", 0},
	valUint64: {"uint64", 8}, valInt64: {"int64", 8}, valFloat64: {"float64", 8},
}
