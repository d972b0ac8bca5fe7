package emu

import (
	"math"
	"slices"
	"testing"

	"attndiff/ours/device"
)

// A copy is there once its thread has waited for its group and a barrier has
// passed, and NaN before.
func TestAsynchronousCopies(t *testing.T) {
	const threads = 64
	for _, tt := range []struct {
		name   string
		n      int // threads that copy
		latest int // groups not waited for
		there  bool
	}{
		{"all waited for", threads, 0, true},
		{"all but an empty group", threads, 1, true},
		{"not waited for", threads, 2, false},
		{"zeros past the end", threads - 5, 0, true},
		{"zeros past the end, not waited for", threads - 5, 3, false},
	} {
		for _, order := range []string{"forward", "reverse", "shuffle"} {
			t.Run(tt.name+", "+order, func(t *testing.T) {
				b := open(t, Options{Checks: true, Strict: true, Order: order}, "async.cu")
				x, y := put(b, "x", ramp[float32](4*tt.n)), b.alloc(16*threads, "y")
				err := b.Launch(device.Launch{Kernel: "copy_staged", Block: device.Dim3{X: threads}, SharedBytes: 16 * threads,
					Args: []device.Arg{at(x), at(y), device.Int(tt.n), device.Int(tt.latest)}})
				if err != nil {
					t.Fatal(err)
				}
				want := make([]float32, 4*threads)
				copy(want, ramp[float32](4*tt.n))
				want = append(want[4:], want[:4]...)
				got := get[float32](b, y)
				if !tt.there {
					for i, v := range got {
						if !math.IsNaN(float64(v)) {
							t.Fatalf("element %d is %v before anybody waited for it", i, v)
						}
					}
				} else if !slices.Equal(got, want) {
					t.Errorf("copied = %v", got)
				}
			})
		}
	}
}

// Without checks a copy waits all the same, and what was there before stays.
func TestAsynchronousCopiesUnchecked(t *testing.T) {
	b := open(t, Options{}, "async.cu")
	x, y := put(b, "x", ramp[float32](8)), b.alloc(32, "y")
	if err := b.Launch(device.Launch{Kernel: "copy_staged", Block: device.Dim3{X: 2}, SharedBytes: 32,
		Args: []device.Arg{at(x), at(y), device.Int(2), device.Int(0)}}); err != nil {
		t.Fatal(err)
	}
	if got := get[float32](b, y); !slices.Equal(got, []float32{4, 5, 6, 7, 0, 1, 2, 3}) {
		t.Errorf("copied = %v", got)
	}
}

// Copies that a GPU faults on.
func TestBadCopies(t *testing.T) {
	b := open(t, lenient, "async.cu")
	x, y := put(b, "x", ramp[float32](8)), b.alloc(4, "y")
	for _, tt := range []struct {
		shift, size int
		bad         bool
	}{{0, 16, false}, {4, 16, false}, {1, 4, false}, {2, 8, false}, {1, 16, true}, {0, 12, true}, {0, 0, true}} {
		before := len(b.Violations())
		b.must("copy_odd", 1, 1, at(x), at(y), device.Int(tt.shift), device.Int(tt.size))
		if bad := len(b.Violations()) > before; bad != tt.bad {
			t.Errorf("copy of %d bytes to float %d: %v", tt.size, tt.shift, b.Violations()[before:])
		}
	}
}

// A kernel launched early finds NaN in what the one before wrote unless it waits,
// in every block and warp; what lies there is as before when it has ended. (Where it
// writes the same NaN back, it has written nothing.)
func TestEarlyLaunch(t *testing.T) {
	const blocks, threads = 3, 64
	nan := float32(math.NaN())
	for _, tt := range []struct {
		name    string
		early   bool
		waits   int // warps of a block that wait
		inPlace bool
		want    [2]float32 // by warp
	}{
		{"waits", true, 2, false, [2]float32{6, 6}},
		{"does not wait", true, 0, false, [2]float32{nan, nan}},
		{"one warp waits", true, 1, false, [2]float32{6, nan}},
		{"not early", false, 0, false, [2]float32{6, 6}},
		{"waits, in place", true, 2, true, [2]float32{6, 6}},
		{"does not wait, in place", true, 0, true, [2]float32{5, 5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t, strict, "async.cu")
			x, other := b.alloc(4*blocks*threads, "x"), b.alloc(4*blocks*threads, "y")
			y := other
			if tt.inPlace {
				y = x
			}
			whole := func(buf device.Buffer, fresh bool) []device.Region {
				return []device.Region{{Buffer: buf, Length: buf.Bytes(), Fresh: fresh}}
			}
			grid, block := device.Dim3{X: blocks}, device.Dim3{X: threads}
			for _, l := range []device.Launch{
				{Kernel: "fill", Grid: grid, Block: block, Args: []device.Arg{at(x), device.Float(5)}, Writes: whole(x, true)},
				{Kernel: "increment", Grid: grid, Block: block, Early: tt.early,
					Args: []device.Arg{at(x), at(y), device.Int(tt.waits)}, Writes: whole(y, !tt.inPlace)},
			} {
				if err := b.Launch(l); err != nil {
					t.Fatal(err)
				}
			}
			for i, v := range get[float32](b, y) {
				if want := tt.want[i/32%2]; v != want && !(v != v && want != want) {
					t.Fatalf("element %d is %v, want %v", i, v, want)
				}
			}
			if !tt.inPlace {
				if got := get[float32](b, x); !slices.Equal(got, slices.Repeat([]float32{5}, blocks*threads)) {
					t.Errorf("the first kernel's output is now %v", got)
				}
			}
		})
	}
}
