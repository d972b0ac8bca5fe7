package trace

import "attndiff/traces/tap"

// DType is an element type of the trace contract, spelled as safetensors does.
type DType string

// The element types a trace may hold.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// Size returns the bytes of one element, 0 for a type that is not the
// contract's.
func (d DType) Size() int {
	switch d {
	case F64:
		return 8
	case F32:
		return 4
	case F16, BF16:
		return 2
	}
	return 0
}

// Sink takes an engine's recordings in execution order.
type Sink interface {
	// Wants reports whether the recording is to be made; an engine need not
	// copy a tensor out of its device when it is not.
	Wants(k tap.Key) bool
	// Put records one tensor: raw is row-major little-endian, its length the
	// shape's elements times the element size. raw may be reused after Put
	// returns.
	Put(k tap.Key, dt DType, shape []int, raw []byte) error
}
