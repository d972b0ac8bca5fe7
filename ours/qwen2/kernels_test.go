package qwen2_test

import (
	"encoding/binary"
	"math"
	"testing"

	"attndiff/ours/device"
	"attndiff/ours/emu"
	"attndiff/ours/kernels"
)

// bench is a device for launching one kernel at a time.
type bench struct {
	t   *testing.T
	dev device.Device
}

func newBench(t *testing.T) bench {
	t.Helper()
	dev, err := emu.Open(kernels.Default(), emu.Options{Checks: true, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return bench{t, dev}
}

// upload returns a buffer with these values.
func (b bench) upload(values []float32) device.Buffer {
	b.t.Helper()
	raw := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	buf, err := b.dev.Alloc(len(raw), "input")
	if err == nil {
		err = b.dev.Upload(buf, 0, raw)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return buf
}

// run launches a kernel that writes n 32-bit words, handed over as the
// argument made by args, and returns them.
func (b bench) run(kernel string, grid, block device.Dim3, n int, args func(out device.Pointer) []device.Arg) []uint32 {
	b.t.Helper()
	out, err := b.dev.Alloc(4*n, "output")
	if err != nil {
		b.t.Fatal(err)
	}
	err = b.dev.Launch(device.Launch{
		Kernel: kernel, Grid: grid, Block: block,
		Args: args(device.Pointer{Buffer: out}), Writes: []device.Region{{Buffer: out, Length: 4 * n, Fresh: true}},
	})
	raw := make([]byte, 4*n)
	if err == nil {
		err = b.dev.Download(raw, out, 0)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	words := make([]uint32, n)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return words
}

func TestArgmax(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	row := func(n int, at map[int]float32) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(-1 - i%7)
		}
		for i, v := range at {
			x[i] = v
		}
		return x
	}
	tests := []struct {
		name   string
		logits []float32
		want   uint32
	}{
		{"one", []float32{3}, 0},
		{"last of many", row(1000, map[int]float32{999: 5}), 999},
		{"lowest of equals, same thread", row(1000, map[int]float32{300: 5, 556: 5, 812: 5}), 300},
		{"lowest of equals, across warps", row(1000, map[int]float32{257: 5, 40: 5, 999: 5}), 40},
		{"infinity", row(300, map[int]float32{7: 9, 299: inf}), 299},
		{"NaN never wins", row(300, map[int]float32{0: nan, 31: nan, 33: 2}), 33},
		{"only NaN", []float32{nan, nan}, 0},
		{"only -Inf", []float32{-inf, -inf, -inf}, 0},
		{"-Inf behind NaN", []float32{nan, -inf}, 1},
	}
	b := newBench(t)
	for _, tt := range tests {
		in := b.upload(tt.logits)
		got := b.run("argmax", device.Dim3{X: 1}, device.Dim3{X: 256}, 1, func(out device.Pointer) []device.Arg {
			return []device.Arg{device.Pointer{Buffer: in}, out, device.Int(len(tt.logits))}
		})
		if got[0] != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got[0], tt.want)
		}
	}
}

// TestRopeFarPositions holds the rotation of unit vectors against float64 at
// positions up to 32768: off by no more than the rounding of cos and sin to
// f32, and so no more than with ggml's angles, a running product in f32.
func TestRopeFarPositions(t *testing.T) {
	const base = 1e6
	b := newBench(t)
	for _, D := range []int{2, 10, 64, 128, 256} {
		x := make([]float32, D)
		for i := range D / 2 {
			x[i] = 1 // (1,0) turns into (cos, sin)
		}
		in := b.upload(x)
		for _, pos := range []int{0, 1, 17, 1000, 4095, 32767} {
			got := b.run("rope_neox", device.Dim3{X: 1}, device.Dim3{X: 32}, D, func(out device.Pointer) []device.Arg {
				return []device.Arg{device.Pointer{Buffer: in}, out, device.Int(1), device.Int(D), device.Int(pos), device.Float(base)}
			})
			for i := range D / 2 {
				sin, cos := math.Sincos(float64(pos) * math.Pow(base, -2*float64(i)/float64(D)))
				c, s := math.Float32frombits(got[i]), math.Float32frombits(got[i+D/2])
				off := math.Hypot(float64(c)-cos, float64(s)-sin)
				if limit := math.Sqrt2 / (1 << 25) * 1.01; !(off <= limit) { // 1.01: float64's own rounding of the angle
					t.Errorf("D %d, position %d, pair %d: off by %.3g, want at most %.3g", D, pos, i, off, limit)
				}
			}
		}
	}
}

// TestSoftmaxExtremes checks rows that break a careless softmax: scores far
// beyond exp's range, equal scores, and exact zeros behind the mask.
func TestSoftmaxExtremes(t *testing.T) {
	inf := float32(math.Inf(-1))
	tests := []struct {
		name   string
		scores []float32
		pos    int // the row sees columns 0..pos
		want   []float32
	}{
		{"huge", []float32{1e4, 1e4, -1e4}, 2, []float32{0.5, 0.5, 0}},
		{"hugely negative", []float32{-3e38, -3e38}, 1, []float32{0.5, 0.5}},
		{"one -Inf", []float32{inf, 3}, 1, []float32{0, 1}},
		{"masked larger than visible", []float32{1, 1, 1e30, 1e30}, 1, []float32{0.5, 0.5, 0, 0}},
		{"masked NaN", []float32{1, float32(math.NaN())}, 0, []float32{1, 0}},
	}
	b := newBench(t)
	for _, tt := range tests {
		n := len(tt.scores)
		in := b.upload(tt.scores)
		got := b.run("causal_softmax", device.Dim3{X: 1, Y: 1}, device.Dim3{X: 128}, n, func(out device.Pointer) []device.Arg {
			return []device.Arg{device.Pointer{Buffer: in}, out, device.Int(1), device.Int(n), device.Int(tt.pos), device.Float(1)}
		})
		for c, w := range tt.want {
			if v := math.Float32frombits(got[c]); v != w {
				t.Errorf("%s: column %d is %g, want %g", tt.name, c, v, w)
			}
		}
	}
}
