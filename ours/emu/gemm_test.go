package emu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"

	"attndiff/ours/device"
	"attndiff/traces/tap"
)

// operand is a random matrix as a device sees it and as float64.
type operand struct {
	device.Matrix
	value func(row, col int) float64 // of op(matrix)
}

// random puts a matrix into a buffer whose first three elements and whose rows
// beyond the matrix are NaN: a product that touches them is NaN.
func random(b *bench, r *rand.Rand, t device.DType, rows, cols, pad int, trans bool) operand {
	if trans {
		rows, cols = cols, rows
	}
	const skip = 3
	ld := rows + pad
	values := make([]float32, skip+ld*cols)
	for i := range values {
		values[i] = float32(math.NaN())
		if i >= skip && (i-skip)%ld < rows {
			values[i] = float16.Fromfloat32(float32(r.NormFloat64())).Float32()
		}
	}
	var buf device.Buffer
	switch t {
	case device.F32:
		buf = put(b, "operand", values)
	default:
		bits := make([]uint16, len(values))
		for i, v := range values {
			if t == device.F16 {
				bits[i] = float16.Fromfloat32(v).Bits()
				continue
			}
			bits[i] = uint16(math.Float32bits(v) >> 16)
			values[i] = math.Float32frombits(uint32(bits[i]) << 16)
		}
		buf = put(b, "operand", bits)
	}
	return operand{device.Matrix{Pointer: device.Pointer{Buffer: buf, Offset: skip * t.Size()}, Type: t, Ld: ld},
		func(row, col int) float64 {
			if trans {
				row, col = col, row
			}
			return float64(values[skip+col*ld+row])
		}}
}

// Every pair of transposes and types, with leading dimensions beyond the rows,
// against sums in float64.
func TestGemm(t *testing.T) {
	b := open(t, strict, "bench.cu")
	r := rand.New(rand.NewPCG(7, 8))
	for _, size := range [][3]int{{1, 1, 1}, {5, 3, 7}, {130, 70, 65}, {64, 1, 896}, {1, 9, 300}} {
		m, n, k := size[0], size[1], size[2]
		for _, transA := range []bool{false, true} {
			for _, transB := range []bool{false, true} {
				for i, types := range [][2]device.DType{{device.F32, device.F32}, {device.F16, device.F32}, {device.BF16, device.F16}} {
					x, y := random(b, r, types[0], m, k, i, transA), random(b, r, types[1], k, n, 2*i, transB)
					c := random(b, r, device.F32, m, n, 1+i, false)
					alpha, beta := float32(1), float32(0)
					if i == 1 {
						alpha, beta = -0.5, 2
					}
					name := fmt.Sprintf("%d x %d x %d, transposes %v %v, types %v, alpha %v, beta %v", m, n, k, transA, transB, types, alpha, beta)
					err := b.Gemm(device.Gemm{TransA: transA, TransB: transB, M: m, N: n, K: k, Alpha: alpha, Beta: beta,
						A: x.Matrix, B: y.Matrix, C: c.Matrix})
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					got := get[float32](b, c.Buffer)[3:]
					for col := range n {
						for row := range c.Ld {
							if row >= m {
								if at := col*c.Ld + row; at < len(got) && !isNaN(got[at]) {
									t.Fatalf("%s: wrote to the gap below column %d", name, col)
								}
								continue
							}
							sum, size := 0.0, 0.0
							for i := range k {
								p := x.value(row, i) * y.value(i, col)
								sum, size = sum+p, size+math.Abs(p)
							}
							want := float64(alpha)*sum + float64(beta)*orZero(beta, c.value(row, col))
							// f32 summation of k terms in any order: k half-units
							// in the last place of the terms' magnitude, at most.
							bound := float64(k+2) * 0x1p-24 * (size + math.Abs(want))
							if v := float64(got[col*c.Ld+row]); !(math.Abs(v-want) <= bound) {
								t.Fatalf("%s: C[%d,%d] = %v, want %v", name, row, col, v, want)
							}
						}
					}
				}
			}
		}
	}
}

// orZero is C's old value, which a product with beta 0 must not read.
func orZero(beta float32, v float64) float64 {
	if beta == 0 {
		return 0
	}
	return v
}

// 0 * NaN is NaN in every layout, and old NaN in C does not matter if beta is 0.
func TestGemmKeepsNaN(t *testing.T) {
	b := open(t, strict, "bench.cu")
	nan := float32(math.NaN())
	for _, transA := range []bool{false, true} {
		for _, transB := range []bool{false, true} {
			g := device.Gemm{TransA: transA, TransB: transB, M: 2, N: 2, K: 2, Alpha: 1,
				A: device.Matrix{Pointer: at(put(b, "a", []float32{0, 0, 0, 0})), Ld: 2},
				B: device.Matrix{Pointer: at(put(b, "b", []float32{nan, 1, 1, nan})), Ld: 2},
				C: device.Matrix{Pointer: at(b.alloc(16, "c")), Ld: 2}}
			for range 2 {
				if err := b.Gemm(g); err != nil {
					t.Fatal(err)
				}
				for i, v := range get[float32](b, g.C.Buffer) {
					if !isNaN(v) {
						t.Errorf("transposes %v %v: element %d = %v, want NaN", transA, transB, i, v)
					}
				}
				g.A, g.B = g.B, g.A
			}
			g.B = device.Matrix{Pointer: at(put(b, "b", []float32{1, 1, 1, 1})), Ld: 2}
			g.A = g.B
			if err := b.Gemm(g); err != nil {
				t.Fatal(err)
			}
			if got := get[float32](b, g.C.Buffer); got[0] != 2 || got[3] != 2 {
				t.Errorf("transposes %v %v: product over old NaN = %v", transA, transB, got)
			}
		}
	}
}

// The kept f32 copy of an operand goes when the buffer changes, by an upload
// or a launch.
func TestGemmSeesChangedWeights(t *testing.T) {
	b := open(t, strict, "numbers.cu")
	half := func(v float32) []uint16 { return []uint16{float16.Fromfloat32(v).Bits()} }
	w, x, y := put(b, "w", half(2)), put(b, "x", []float32{3}), b.alloc(4, "y")
	product := func() float32 {
		t.Helper()
		err := b.Gemm(device.Gemm{M: 1, N: 1, K: 1, Alpha: 1, A: device.Matrix{Pointer: at(w), Type: device.F16, Ld: 1},
			B: device.Matrix{Pointer: at(x), Ld: 1}, C: device.Matrix{Pointer: at(y), Ld: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return get[float32](b, y)[0]
	}
	if got := product(); got != 6 {
		t.Errorf("2 * 3 = %v", got)
	}
	if err := b.Upload(w, 0, []byte{0, 0x40 + 4}); err != nil { // 0x4400 = 4
		t.Fatal(err)
	}
	if got := product(); got != 12 {
		t.Errorf("after an upload 4 * 3 = %v", got)
	}
	b.must("narrow", 1, 32, at(put(b, "v", []float32{5})), at(w), at(b.alloc(2, "bf")), device.Int(1))
	if got := product(); got != 15 {
		t.Errorf("after a launch 5 * 3 = %v", got)
	}
	if b.wideBytes != 4 {
		t.Errorf("%d bytes of copies are counted, want 4", b.wideBytes)
	}
}

func TestBadGemm(t *testing.T) {
	b := open(t, strict, "bench.cu")
	matrix := func(elements, ld int) device.Matrix {
		return device.Matrix{Pointer: at(b.alloc(4*elements, "matrix")), Ld: ld}
	}
	for _, tt := range []struct {
		name   string
		change func(g *device.Gemm)
		want   string
	}{
		{"nothing", func(*device.Gemm) {}, ""},
		{"zero rows", func(g *device.Gemm) { g.M = 0 }, "m, n, k = 0, 3, 4; want positive sizes"},
		{"negative k", func(g *device.Gemm) { g.K = -4 }, "m, n, k = 2, 3, -4"},
		{"A short", func(g *device.Gemm) { g.A = matrix(7, 2) }, `operand A: 2 x 4 elements with leading dimension 2 at offset 0 do not fit buffer "matrix" of 28 bytes`},
		{"A transposed has 4 rows", func(g *device.Gemm) { g.TransA = true }, "operand A: leading dimension 2 is less than the 4 rows"},
		{"B short by its offset", func(g *device.Gemm) { g.B.Offset = 4 }, "operand B: 4 x 3 elements with leading dimension 4 at offset 4 do not fit"},
		{"B misaligned", func(g *device.Gemm) { g.B.Offset = 2 }, "operand B: offset 2 is no multiple of the element size 4"},
		{"B before its buffer", func(g *device.Gemm) { g.B.Offset = -4 }, "operand B: 4 x 3 elements with leading dimension 4 at offset -4 do not fit"},
		{"B of bytes", func(g *device.Gemm) { g.B.Type = device.U8 }, "operand B: element type"},
		{"C narrow", func(g *device.Gemm) { g.C.Ld = 1 }, "operand C: leading dimension 1"},
		{"C of halves", func(g *device.Gemm) { g.C.Type = device.F16 }, "operand C is not F32"},
		{"C missing", func(g *device.Gemm) { g.C.Buffer = nil }, "operand C: buffer nil"},
		{"huge leading dimension", func(g *device.Gemm) { g.C.Ld = math.MaxInt }, "operand C: 2 x 3 elements"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := device.Gemm{M: 2, N: 3, K: 4, Alpha: 1, A: matrix(8, 2), B: matrix(12, 4), C: matrix(6, 2), At: tap.At(1, 2, tap.KQ)}
			tt.change(&g)
			err := b.Gemm(g)
			if tt.want == "" && err != nil {
				t.Fatal(err)
			}
			if tt.want != "" {
				wantError(t, err, "GEMM (tap s0001.l02.kq): "+tt.want)
			}
		})
	}
}
