package emu

import (
	"fmt"
	"math"
	"sync"

	"github.com/x448/float16"

	"attndiff/ours/device"
)

// maxWide bounds the f32 copies of f16 and bf16 operands kept between
// products: enough for the weights of a 1-billion-parameter model.
const maxWide = 4 << 30

// wideKey names a part of a buffer that is kept as f32.
type wideKey struct {
	offset, bytes int
	dtype         device.DType
}

// widened returns a column-major matrix's memory as f32. Weights do not
// change, so their f32 copies are kept until the buffer is written to.
func (d *Device) widened(m device.Matrix, rows, cols int) ([]float32, error) {
	if m.Type != device.F32 && m.Type != device.F16 && m.Type != device.BF16 {
		return nil, fmt.Errorf("element type %d is not F32, F16 or BF16", m.Type)
	}
	mem, err := d.matrix(m, rows, cols)
	if err != nil {
		return nil, err
	}
	if m.Type == device.F32 {
		return elements[float32](mem), nil
	}
	b := m.Buffer.(*buffer)
	key := wideKey{m.Offset, len(mem), m.Type}
	if wide, ok := b.wide[key]; ok {
		return wide, nil
	}
	half := elements[uint16](mem)
	wide := make([]float32, len(half))
	if m.Type == device.F16 {
		table := halves()
		for i, h := range half {
			wide[i] = table[h]
		}
	} else {
		for i, h := range half {
			wide[i] = math.Float32frombits(uint32(h) << 16)
		}
	}
	if d.wideBytes+4*len(wide) <= maxWide {
		if b.wide == nil {
			b.wide = map[wideKey][]float32{}
		}
		b.wide[key] = wide
		d.wideBytes += 4 * len(wide)
	}
	return wide, nil
}

// forget drops a buffer's f32 copies, because it is about to change or has.
func (d *Device) forget(b *buffer) {
	for _, wide := range b.wide {
		d.wideBytes -= 4 * len(wide)
	}
	b.wide = nil
}

// halves holds the value of each f16.
var halves = sync.OnceValue(func() *[1 << 16]float32 {
	var table [1 << 16]float32
	for i := range table {
		table[i] = float16.Frombits(uint16(i)).Float32()
	}
	return &table
})
