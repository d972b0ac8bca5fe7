package half

import (
	"encoding/binary"
	"math"
	"sync"

	"github.com/x448/float16"
)

// FromF16 widens the bits of an F16.
func FromF16(bits uint16) float32 { return float16.Frombits(bits).Float32() }

// ToF16 narrows x to the bits of an F16. Magnitudes of 65520 and more become
// Inf.
func ToF16(x float32) uint16 { return float16.Fromfloat32(x).Bits() }

// FromBF16 widens the bits of a BF16.
func FromBF16(bits uint16) float32 { return math.Float32frombits(uint32(bits) << 16) }

// ToBF16 narrows x to the bits of a BF16.
//
// Adding 0x7fff carries into the upper half when the lower half is more than a
// tie; adding the upper half's last bit as well makes a tie carry when that bit
// is odd. A NaN is no number to round: a carry could make it Inf.
func ToBF16(x float32) uint16 {
	bits := math.Float32bits(x)
	if x != x {
		const quiet = 1 << 6
		return uint16(bits>>16) | quiet
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// RoundF16 returns x after storage as F16.
func RoundF16(x float32) float32 { return FromF16(ToF16(x)) }

// RoundBF16 returns x after storage as BF16.
func RoundBF16(x float32) float32 { return FromBF16(ToBF16(x)) }

// f16Table holds the float32 of every F16. It takes 256 KiB, of which a tensor
// touches the few thousand entries around its own magnitudes; looking them up
// is several times faster than taking each value apart.
var f16Table = sync.OnceValue(func() *[1 << 16]float32 {
	var table [1 << 16]float32
	for bits := range table {
		table[bits] = FromF16(uint16(bits))
	}
	return &table
})

// Float is a type to widen to.
type Float interface{ ~float32 | ~float64 }

// WidenF16 sets dst to the little-endian F16 values in src, which holds two
// bytes for each element of dst. It loads four at a time, which is twice as
// fast as one at a time.
func WidenF16[T Float](dst []T, src []byte) {
	table := f16Table()
	for len(dst) >= 4 {
		four := binary.LittleEndian.Uint64(src)
		dst[0] = T(table[uint16(four)])
		dst[1] = T(table[uint16(four>>16)])
		dst[2] = T(table[uint16(four>>32)])
		dst[3] = T(table[uint16(four>>48)])
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = T(table[binary.LittleEndian.Uint16(src[2*i:])])
	}
}

// WidenBF16 sets dst to the little-endian BF16 values in src, which holds two
// bytes for each element of dst. It loads four at a time, as WidenF16 does.
func WidenBF16[T Float](dst []T, src []byte) {
	for len(dst) >= 4 {
		four := binary.LittleEndian.Uint64(src)
		dst[0] = T(math.Float32frombits(uint32(four << 16)))
		dst[1] = T(math.Float32frombits(uint32(four) &^ 0xffff))
		dst[2] = T(math.Float32frombits(uint32(four>>16) &^ 0xffff))
		dst[3] = T(math.Float32frombits(uint32(four>>32) &^ 0xffff))
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = T(FromBF16(binary.LittleEndian.Uint16(src[2*i:])))
	}
}
