package llamacpp_test

import (
	"math"
	"testing"

	"attndiff/reference/llamacpp"
	"attndiff/traces/gguf"
	"attndiff/traces/gguf/writer"
)

// TestQuantize encodes a wave and decodes it again. What is lost is about
// uniform within a step; a type of b bits has 2^b steps over the values' range.
func TestQuantize(t *testing.T) {
	values := make([]float32, 1024)
	for i := range values {
		values[i] = float32(math.Sin(float64(i) / 7))
	}
	for _, typ := range writer.QuantizedTypes() {
		n, err := gguf.RowBytes(typ, len(values))
		if err != nil {
			t.Fatal(err)
		}
		raw, got := make([]byte, n), make([]float32, len(values))
		if err := llamacpp.Quantize(typ, values, raw); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		if err := llamacpp.Dequantize(typ, raw, got); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		lost := 0.0
		for i, v := range got {
			d := float64(v - values[i])
			lost += d * d / float64(len(values))
		}
		step := 2 / math.Exp2(float64(typ[1]-'0'))
		if got, want := math.Sqrt(lost), step/math.Sqrt(12); !(got < 1.5*want) || !(got > want/4) {
			t.Errorf("%s loses %.2g at the root of the mean square, want about %.2g", typ, got, want)
		}
	}
}

func TestQuantizeRefuse(t *testing.T) {
	for _, test := range []struct {
		typ    string
		n, raw int
		want   string
	}{
		{"Q9_9", 32, 34, "Q9_9"},
		{"Q4_0", 32, 17, "17 bytes"},
		{"Q4_K", 128, 72, "128 elements"},
		{"Q4_0", 0, 0, "no elements"},
		{"F16", 32, 64, "does not quantise"},
		{"IQ2_XXS", 256, 66, "from values alone"},
	} {
		err := llamacpp.Quantize(test.typ, make([]float32, test.n), make([]byte, test.raw))
		if err == nil {
			t.Errorf("%s: %d elements as %d bytes were accepted", test.typ, test.n, test.raw)
			continue
		}
		expectLine(t, err, test.want)
	}
}
