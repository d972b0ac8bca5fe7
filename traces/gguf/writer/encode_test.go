package writer

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// block returns 32 values that begin with the given ones.
func block(values ...float32) []float32 {
	return append(values, make([]float32, q8Block-len(values))...)
}

// TestQ8 checks blocks whose scale and quants are known by hand.
func TestQ8(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float32
		scale  uint16 // F16 bits
		quants []int8
	}{
		{"zeros", block(), 0, nil},
		{"a step of 1, halves away from zero", block(127, 0.5, -0.5, 1.5, -2.5, 2.4999), 0x3c00, []int8{127, 1, -1, 2, -3, 2}},
		{"the largest is negative", block(-254, 2, 3), 0x4000, []int8{-127, 1, 2}},
		// d = 1/127 lies between the F16s 0x2008 and 0x2007; quants come from d
		// itself, and so the largest is 127 whatever the scale became.
		{"a scale that F16 rounds", block(1, 0.5), 0x2008, []int8{127, 64}},
		{"too small for any scale", block(1e-38, -1e-38), 0, nil},
	} {
		got, err := encode(nil, "Q8_0", test.values, nil)
		if err != nil || len(got) != 34 {
			t.Fatalf("%s: %d bytes, %v", test.name, len(got), err)
		}
		want := binary.LittleEndian.AppendUint16(nil, test.scale)
		for i := range q8Block {
			var q int8
			if i < len(test.quants) {
				q = test.quants[i]
			}
			want = append(want, byte(q))
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: % x, want % x", test.name, got, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, test := range []struct {
		typ    string
		values []float32
		want   string
	}{
		{"F32", []float32{0, nan}, "element 1 is NaN"},
		{"BF16", []float32{inf}, "element 0 is -Inf"},
		{"F16", []float32{65519, 65520}, "element 1, 65520, is out of F16's range"},
		{"Q8_0", block(1e7), "out of Q8_0's range"},
		{"Q4_K", []float32{1}, "cannot be encoded here; F32, F16, BF16, Q8_0 are"},
	} {
		if _, err := encode(nil, test.typ, test.values, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.typ, err, test.want)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	values := make([]float32, chunkElems)
	for i := range values {
		values[i] = float32(i%997) / 997
	}
	for _, typ := range Types() {
		b.Run(typ, func(b *testing.B) {
			raw := make([]byte, 0, 4*len(values))
			b.SetBytes(int64(4 * len(values)))
			for b.Loop() {
				if _, err := encode(raw, typ, values, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
