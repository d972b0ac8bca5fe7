package half

import (
	"encoding/binary"
	"math"
	"testing"
)

// format describes a 16-bit type by the formula of its values rather than by
// the bit operations under test.
type format struct {
	name     string
	fraction int // bits
	bias     int
	maxExp   int // the exponent field of Inf and NaN
	from     func(uint16) float32
	to       func(float32) uint16
}

var formats = []format{
	{"F16", 10, 15, 31, FromF16, ToF16},
	{"BF16", 7, 127, 255, FromBF16, ToBF16},
}

// value is (-1)^sign * 1.fraction * 2^(exponent-bias), without the leading 1
// where the exponent field is 0. Every finite value is exact in a float64.
func (f format) value(bits uint16) float64 {
	fraction := int(bits) & (1<<f.fraction - 1)
	exponent := int(bits) >> f.fraction & f.maxExp
	sign := math.Copysign(1, -float64(bits>>15)+0.5)
	switch {
	case exponent == f.maxExp && fraction != 0:
		return math.NaN()
	case exponent == f.maxExp:
		return math.Inf(int(sign))
	case exponent == 0:
		return sign * math.Ldexp(float64(fraction), 1-f.bias-f.fraction)
	}
	return sign * math.Ldexp(float64(fraction+1<<f.fraction), exponent-f.bias-f.fraction)
}

func TestEveryValueWidens(t *testing.T) {
	for _, f := range formats {
		for bits := range 1 << 16 {
			got, want := float64(f.from(uint16(bits))), f.value(uint16(bits))
			if math.IsNaN(want) != math.IsNaN(got) || !math.IsNaN(want) && math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("%s %#04x = %v, want %v", f.name, bits, got, want)
			}
		}
	}
}

func TestEveryValueComesBack(t *testing.T) {
	for _, f := range formats {
		quiet := uint16(1) << (f.fraction - 1)
		for i := range 1 << 16 {
			bits := uint16(i)
			want := bits
			if math.IsNaN(f.value(bits)) {
				want |= quiet
			}
			if got := f.to(f.from(bits)); got != want {
				t.Fatalf("%s %#04x came back as %#04x", f.name, bits, got)
			}
		}
	}
}

// TestNarrowingIsNearestEven looks at the float32 values at, just below and
// just above the middle between every two neighbours.
func TestNarrowingIsNearestEven(t *testing.T) {
	for _, f := range formats {
		inf := uint16(f.maxExp) << f.fraction
		for low := range inf { // the positive finite values
			high := low + 1
			top := f.value(high)
			if high == inf { // what would come next if the exponent went on
				top = math.Ldexp(1, f.maxExp-f.bias)
			}
			middle := float32((f.value(low) + top) / 2)
			even := low + low&1
			for _, c := range []struct {
				x    float32
				want uint16
			}{
				{math.Nextafter32(middle, 0), low},
				{middle, even},
				{math.Nextafter32(middle, float32(math.Inf(1))), high},
			} {
				if got := f.to(c.x); got != c.want {
					t.Fatalf("%s of %b = %#04x, want %#04x", f.name, c.x, got, c.want)
				}
				if got := f.to(-c.x); got != c.want|1<<15 {
					t.Fatalf("%s of %b = %#04x, want %#04x", f.name, -c.x, got, c.want|1<<15)
				}
			}
		}
	}
}

func TestNarrowingKeepsNaN(t *testing.T) {
	for _, f := range formats {
		for _, bits := range []uint32{0x7fc00000, 0x7f800001, 0x7fffffff, 0xff800001, 0xffffffff} {
			if got := f.value(f.to(math.Float32frombits(bits))); !math.IsNaN(got) {
				t.Errorf("%s of NaN %#08x = %v", f.name, bits, got)
			}
		}
	}
}

func TestRound(t *testing.T) {
	if got := RoundF16(1 + 1.0/4096); got != 1 {
		t.Errorf("RoundF16(1+2^-12) = %v, want 1", got)
	}
	if got := RoundF16(65520); !math.IsInf(float64(got), 1) {
		t.Errorf("RoundF16(65520) = %v, want +Inf", got)
	}
	if got := RoundBF16(1 + 3.0/256); got != 1+1.0/64 {
		t.Errorf("RoundBF16(1+3/256) = %v, want the even neighbour 1+1/64", got)
	}
}

func TestWidenBuffers(t *testing.T) {
	src := make([]byte, 2<<16)
	for bits := range 1 << 16 {
		binary.LittleEndian.PutUint16(src[2*bits:], uint16(bits))
	}
	for i, f := range formats {
		widen32 := []func([]float32, []byte){WidenF16[float32], WidenBF16[float32]}[i]
		widen64 := []func([]float64, []byte){WidenF16[float64], WidenBF16[float64]}[i]
		for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 1 << 16} {
			const untouched = 12345
			narrow, wide := make([]float32, n+1), make([]float64, n+1)
			narrow[n], wide[n] = untouched, untouched
			tail := src[len(src)-2*n:]
			widen32(narrow[:n], tail)
			widen64(wide[:n], tail)
			if narrow[n] != untouched || wide[n] != untouched {
				t.Errorf("%s: widening %d values wrote past them", f.name, n)
			}
			for j := range n {
				want := f.from(binary.LittleEndian.Uint16(tail[2*j:]))
				if math.Float32bits(narrow[j]) != math.Float32bits(want) {
					t.Fatalf("%s: value %d of %d widened to %v, want %v", f.name, j, n, narrow[j], want)
				}
				if want == want && math.Float64bits(wide[j]) != math.Float64bits(float64(want)) {
					t.Fatalf("%s: value %d of %d widened to float64 %v, want %v", f.name, j, n, wide[j], want)
				}
			}
		}
	}
}

func BenchmarkWidenF16(b *testing.B)  { benchmarkWiden(b, ToF16, WidenF16[float32]) }
func BenchmarkWidenBF16(b *testing.B) { benchmarkWiden(b, ToBF16, WidenBF16[float32]) }

func benchmarkWiden(b *testing.B, to func(float32) uint16, widen func([]float32, []byte)) {
	const n = 1 << 16
	src, dst := make([]byte, 2*n), make([]float32, n)
	for i := range n {
		binary.LittleEndian.PutUint16(src[2*i:], to(float32(math.Sin(float64(i)*0.7))*8))
	}
	b.SetBytes(4 * n)
	for b.Loop() {
		widen(dst, src)
	}
}
