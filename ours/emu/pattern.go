package emu

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"attndiff/ours/device"
)

// Patterns are 16-bit words that are quiet NaNs as f16 and as bf16, and twice
// in a row as f32: exponent bits all set, top mantissa bits set. So whatever
// type a kernel reads them as, it reads NaN, and NaN spreads to the result.
// The payloads differ so that their origin can be told.
const (
	poisonPattern = 0x7fd5 // memory that nothing was written to yet (block.h: POISON)
	guardPattern  = 0x7fea // margins of shared memory (block.h: GUARD)
	// ordinaryPattern is a finite number instead: 1 as f16, 0.0078 as bf16 and f32.
	ordinaryPattern = 0x3c00
	// hugePattern is the largest f16, and 2.7e36 as bf16 and f32; with the sign
	// bit, the lowest.
	hugePattern = 0x7bff
	signBit     = 0x8000
)

// freshPattern is what the n-th launch's outputs are filled with. It changes
// from launch to launch: a NaN that an earlier launch left behind keeps its
// payload through arithmetic, and must not make this launch's output look
// unwritten. 0x7fff and 0x7fc0 are left out, conversions make those.
func freshPattern(n int) uint16 {
	const first, count = 0x7fc1, 60 // 0x7fc1 to 0x7ffe without the two above
	p := uint16(first + n%count)
	for _, taken := range []uint16{poisonPattern, guardPattern} {
		if p >= taken {
			p++
		}
	}
	return p
}

// unused is what memory holds that nothing was written to yet, and what a
// shuffle gives that no lane takes part in.
func (o Options) unused() uint16 { return o.instead(poisonPattern) }

// guard is what the guard zones of the n-th buffer hold. It differs from buffer
// to buffer: what strays past the ends of several reads one's zone, and what it
// makes of that - NaN keeps the payload of the operand it came from - must not
// be what another's zone holds anyway.
func (o Options) guard(n int) uint16 {
	const first, count = 0xffc1, 60 // quiet NaNs with the sign bit, unlike all other patterns
	step := uint16(n % count)
	switch {
	case o.Ordinary:
		return ordinaryPattern + 1 + step
	case o.Huge > 0:
		return hugePattern - 1 - step
	case o.Huge < 0:
		return (hugePattern - 1 - step) | signBit
	}
	return first + step
}

// instead is the number that the options ask for instead of a NaN.
func (o Options) instead(nan uint16) uint16 {
	switch {
	case o.Ordinary:
		return ordinaryPattern
	case o.Huge > 0:
		return hugePattern
	case o.Huge < 0:
		return hugePattern | signBit
	}
	return nan
}

// fill fills memory with the pattern; an odd last byte gets its low half.
func fill(mem []byte, pattern uint16) {
	if len(mem) == 0 {
		return
	}
	var unit [2]byte
	binary.LittleEndian.PutUint16(unit[:], pattern)
	n := copy(mem, unit[:])
	for n < len(mem) {
		n += copy(mem[n:], mem[:n])
	}
}

// damage returns the first and one past the last byte of a guard zone that was
// written to; ok if there is none. untouched is what such a zone holds, at
// least as long; a zone starts with the pattern's low half.
func damage(zone, untouched []byte) (first, end int, ok bool) {
	want := untouched[:len(zone)]
	if bytes.Equal(zone, want) {
		return 0, 0, true
	}
	for zone[first] == want[first] {
		first++
	}
	for end = len(zone); zone[end-1] == want[end-1]; end-- {
	}
	return first, end, false
}

// unwritten counts the elements that still hold the pattern, and finds the
// first. Elements are 2 or 4 bytes wide.
func unwritten(mem []byte, pattern uint16, t device.DType) (count, first int) {
	if t.Size() == 2 {
		return countEqual(elements[uint16](mem), pattern)
	}
	return countEqual(elements[uint32](mem), uint32(pattern)<<16|uint32(pattern))
}

func countEqual[T uint16 | uint32](list []T, pattern T) (count, first int) {
	for i, v := range list {
		if v == pattern {
			if count == 0 {
				first = i
			}
			count++
		}
	}
	return count, first
}

// elements sees aligned device memory as whole elements.
func elements[T uint16 | uint32 | float32](mem []byte) []T {
	if len(mem) == 0 {
		return nil
	}
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(mem))), len(mem)/int(unsafe.Sizeof(t)))
}
