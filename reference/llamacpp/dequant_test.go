package llamacpp_test

import (
	"encoding/binary"
	"testing"

	"attndiff/reference/llamacpp"
	"attndiff/traces/half"
)

// TestDequantize decodes blocks laid out by hand after ggml-common.h.
func TestDequantize(t *testing.T) {
	// block_q8_0: an f16 scale and 32 signed bytes; x = d*q
	q8 := binary.LittleEndian.AppendUint16(nil, half.ToF16(0.5))
	for i := range 32 {
		q8 = append(q8, byte(int8(i-16)))
	}
	// block_q6_K: 128 low nibbles, 64 high pairs, 16 signed scales, an f16 scale; x = d*sc*(q-32). All q are 0 here.
	q6 := make([]byte, 192, 210)
	for i := range 16 {
		q6 = append(q6, byte(i))
	}
	q6 = binary.LittleEndian.AppendUint16(q6, half.ToF16(0.25))

	for _, test := range []struct {
		typ  string
		raw  []byte
		n    int
		want func(i int) float32
	}{
		{"Q8_0", q8, 32, func(i int) float32 { return 0.5 * float32(i-16) }},
		{"q8_0", append(append([]byte(nil), q8...), q8...), 64, func(i int) float32 { return 0.5 * float32(i%32-16) }},
		{"Q6_K", q6, 256, func(i int) float32 { return -32 * 0.25 * float32(i/16) }},
	} {
		got := make([]float32, test.n)
		if err := llamacpp.Dequantize(test.typ, test.raw, got); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if v != test.want(i) {
				t.Errorf("%s[%d] is %v, want %v", test.typ, i, v, test.want(i))
				break
			}
		}
	}
}

func TestDequantizeRefuse(t *testing.T) {
	for _, test := range []struct {
		typ  string
		raw  int
		n    int
		want string
	}{
		{"Q9_9", 34, 32, "Q9_9"},
		{"Q8_0", 33, 32, "33 bytes"},
		{"Q8_0", 34, 31, "31 elements"},
		{"Q8_0", 34, 64, "64 elements"},
		{"Q8_0", 0, 0, "no elements"},
		{"I32", 4, 1, "no conversion"},
	} {
		err := llamacpp.Dequantize(test.typ, make([]byte, test.raw), make([]float32, test.n))
		if err == nil {
			t.Errorf("%s: %d bytes as %d elements were accepted", test.typ, test.raw, test.n)
			continue
		}
		expectLine(t, err, test.want)
	}
}
