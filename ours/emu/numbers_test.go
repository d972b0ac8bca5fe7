package emu

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/x448/float16"

	"attndiff/ours/device"
)

// Every half and bfloat there is, against x448/float16 and bit shifts, by the
// processor's instruction where there is one and without.
func TestWiden(t *testing.T) {
	t.Run("native", testWiden)
	t.Setenv("CXX", "g++ -DEMU_SOFT_HALF")
	t.Run("soft", testWiden)
}

func testWiden(t *testing.T) {
	b := open(t, strict, "numbers.cu")
	const n = 1 << 16
	h, bf := b.alloc(4*n, "halves"), b.alloc(4*n, "bfloats")
	b.must("widen", n/256, 256, at(h), at(bf))
	halves, bfloats := get[float32](b, h), get[float32](b, bf)
	for i := range n {
		want := float16.Frombits(uint16(i)).Float32()
		if got := halves[i]; math.Float32bits(got) != math.Float32bits(want) && !(isNaN(got) && isNaN(want)) {
			t.Errorf("half %#04x = %v, want %v", i, got, want)
		}
		if got := math.Float32bits(bfloats[i]); got != uint32(i)<<16 {
			t.Errorf("bfloat %#04x = %#08x", i, got)
		}
	}
}

// Every half exactly, every value in the middle of two, both neighbours of
// each, and random bits.
func TestNarrow(t *testing.T) {
	var x []float32
	around := func(v float32) {
		x = append(x, v, math.Nextafter32(v, 1e30), math.Nextafter32(v, -1e30))
	}
	for i := range 1 << 16 {
		v := float16.Frombits(uint16(i)).Float32()
		around(v)
		if next := float16.Frombits(uint16(i + 1)).Float32(); i&0x7fff < 0x7bff {
			around(float32((float64(v) + float64(next)) / 2))
		}
	}
	around(65520) // in the middle of the largest half and what would be the next
	r := rand.New(rand.NewPCG(1, 2))
	for range 300000 {
		x = append(x, math.Float32frombits(r.Uint32()))
	}
	b := open(t, strict, "numbers.cu")
	in, h, bf := put(b, "x", x), b.alloc(2*len(x), "halves"), b.alloc(2*len(x), "bfloats")
	b.must("narrow", (len(x)+255)/256, 256, at(in), at(h), at(bf), device.Int(len(x)))
	halves, bfloats := get[uint16](b, h), get[uint16](b, bf)
	bad := 0
	for i, v := range x {
		want, wantBF := float16.Fromfloat32(v).Bits(), nearestBF16(v)
		if isNaN(v) {
			want, wantBF = 0x7fff, 0x7fff
		}
		if halves[i] != want || bfloats[i] != wantBF {
			if bad++; bad < 10 {
				t.Errorf("%v (%#08x) = half %#04x, bfloat %#04x; want %#04x, %#04x", v, math.Float32bits(v), halves[i], bfloats[i], want, wantBF)
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d wrong", bad, len(x))
	}
}

// nearestBF16 rounds to nearest even by comparing distances in float64.
func nearestBF16(v float32) uint16 {
	down := math.Float32bits(v) >> 16
	value := func(bits uint32) float64 {
		if bits&0x7fff == 0x7f80 { // as if the exponent went on
			return math.Copysign(math.Ldexp(1, 128), float64(v))
		}
		return float64(math.Float32frombits(bits << 16))
	}
	if math.IsInf(float64(v), 0) {
		return uint16(down)
	}
	below, above := math.Abs(float64(v)-value(down)), math.Abs(value(down+1)-float64(v))
	if above < below || above == below && down%2 == 1 {
		down++
	}
	return uint16(down)
}

func TestHalfArithmetic(t *testing.T) {
	const n = 20000
	r := rand.New(rand.NewPCG(3, 4))
	a, c := make([]uint16, n), make([]uint16, n)
	for i := range n {
		a[i], c[i] = uint16(r.Uint32()), uint16(r.Uint32())
	}
	b := open(t, strict, "numbers.cu")
	y := b.alloc(2*5*n, "y")
	b.must("half_ops", (n+255)/256, 256, at(put(b, "a", a)), at(put(b, "b", c)), at(y), device.Int(n))
	got := get[uint16](b, y)
	for i := range n {
		p, q := float16.Frombits(a[i]).Float32(), float16.Frombits(c[i]).Float32()
		for k, want := range []float32{p + q, p - q, p * q, p / q, float32(float64(p)*float64(q) + float64(p))} {
			bits := float16.Fromfloat32(want).Bits()
			if isNaN(want) {
				bits = 0x7fff
			}
			if got[i*5+k] != bits {
				t.Fatalf("op %d of %v and %v = %#04x, want %#04x", k, p, q, got[i*5+k], bits)
			}
		}
	}
}

func TestFunctions(t *testing.T) {
	b := open(t, strict, "numbers.cu")
	y := b.alloc(4*8, "y")
	b.must("functions", 1, 1, at(put(b, "v", []float32{3, 4, 5, 6})), at(y), device.Float(4))
	got := get[float32](b, y)
	if !(math.Abs(float64(got[1])-1) < 1e-6) {
		t.Errorf("sin^2 + cos^2 = %v", got[1])
	}
	got[1] = 1
	if want := []float32{77, 1, 0.5, 2, 0, 4, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
