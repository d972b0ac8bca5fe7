package qwen2

import (
	"attndiff/ours/device"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Op is one operation of a step: what runs and what its tap records. At most
// one of Launch and Gemm is set; an op with neither only records.
type Op struct {
	At     tap.Key
	Launch *device.Launch
	Gemm   *device.Gemm
	Out    Tensor
}

// Tensor is what an op's tap records: a contiguous row-major array that starts
// at a byte offset of a buffer.
type Tensor struct {
	Buffer device.Buffer
	Offset int
	Type   trace.DType
	Shape  []int
}

// Bytes returns the tensor's size.
func (t Tensor) Bytes() int { return tap.Elements(t.Shape) * t.Type.Size() }

// run executes the op on dev; it does not wait for the result.
func (op *Op) run(dev device.Device) error {
	switch {
	case op.Launch != nil:
		return dev.Launch(*op.Launch)
	case op.Gemm != nil:
		return dev.Gemm(*op.Gemm)
	}
	return nil
}

// start is the address of a buffer's first byte.
func start(b device.Buffer) device.Pointer { return device.Pointer{Buffer: b} }
