package verdict

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestMeasure(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	cases := []struct {
		name  string
		a, b  []float32
		shape []int
		check func(m Metrics) bool
	}{
		{"equal", []float32{1, 2, 3, 4}, []float32{1, 2, 3, 4}, []int{2, 2},
			func(m Metrics) bool { return m.NMSE == 0 && m.MaxAbs == 0 && math.Abs(m.Cos-1) < 1e-12 }},
		{"one element", []float32{1, 2, 3, 5}, []float32{1, 2, 3, 4}, []int{2, 2},
			func(m Metrics) bool {
				return m.NMSE == 1.0/30 && m.MaxAbs == 1 && slices.Equal(m.At, []int{1, 1}) && m.A == 5 && m.B == 4
			}},
		{"one bad row hides in the mean", []float32{1e4, 1e4, 0, 1}, []float32{1e4, 1e4, 1, 0}, []int{2, 2},
			func(m Metrics) bool {
				return m.NMSE < 1e-7 && m.WorstRowNMSE == 2 && slices.Equal(m.WorstRow, []int{1})
			}},
		{"largest channel", []float32{1, 100, 1, 101}, []float32{1, 100, 1, 100}, []int{2, 2},
			func(m Metrics) bool { return m.Channel == 1 && m.ChannelNMSE == 1.0/20000 }},
		{"nan", []float32{1, nan, 3, 4}, []float32{1, 2, 3, 4}, []int{2, 2},
			func(m Metrics) bool {
				return math.IsNaN(m.NMSE) && m.NaNA == 1 && slices.Equal(m.FirstBad, []int{0, 1}) && !(m.MaxAbs <= 1e30)
			}},
		{"inf", []float32{1, 2, 3, inf}, []float32{1, 2, 3, 4}, []int{2, 2},
			func(m Metrics) bool { return !(m.NMSE <= 1e30) && m.InfA == 1 && slices.Equal(m.FirstBad, []int{1, 1}) }},
		{"nan in the reference", []float32{1, 2}, []float32{1, nan}, []int{1, 2},
			func(m Metrics) bool { return !(m.NMSE <= 1e30) && m.NaNB == 1 && m.FirstBad == nil }},
		{"zeros", []float32{0, 0}, []float32{0, 0}, []int{1, 2},
			func(m Metrics) bool { return m.NMSE == 0 && m.Cos == 1 }},
		{"zero reference", []float32{1, 0}, []float32{0, 0}, []int{1, 2},
			func(m Metrics) bool { return math.IsInf(m.NMSE, 1) }},
		{"empty", nil, nil, []int{0, 4}, func(m Metrics) bool { return m.NMSE == 0 }},
		{"three axes", []float32{0, 0, 0, 0, 0, 0, 0, 9}, []float32{0, 0, 0, 0, 0, 0, 0, 1}, []int{2, 2, 2},
			func(m Metrics) bool {
				return slices.Equal(m.At, []int{1, 1, 1}) && slices.Equal(m.WorstRow, []int{1, 1})
			}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if m := Measure(c.a, c.b, c.shape); !c.check(m) {
				t.Errorf("Measure = %+v", m)
			}
		})
	}
}

// FuzzMeasure: any values and any row width measure without a panic, and a
// difference never measures as equality.
func FuzzMeasure(f *testing.F) {
	f.Add(uint64(1), uint8(7), uint8(3))
	f.Add(uint64(2), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, seed uint64, rows, width uint8) {
		r := rand.New(rand.NewPCG(seed, 0))
		n := int(rows) * int(width)
		a, b := make([]float32, n), make([]float32, n)
		differ := false
		for i := range a {
			a[i], b[i] = math.Float32frombits(r.Uint32()), math.Float32frombits(r.Uint32())
			differ = differ || a[i] != b[i]
		}
		m := Measure(a, b, []int{int(rows), int(width)})
		if differ && m.NMSE == 0 && m.MaxAbs == 0 {
			t.Fatalf("different tensors measure as equal: %+v", m)
		}
	})
}

func BenchmarkMeasure(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	const rows, width = 512, 896
	x, y := make([]float32, rows*width), make([]float32, rows*width)
	for i := range x {
		x[i] = float32(r.NormFloat64())
		y[i] = x[i] + float32(r.NormFloat64())*1e-4
	}
	b.SetBytes(8 * rows * width)
	for b.Loop() {
		Measure(x, y, []int{rows, width})
	}
}
