package emu

import (
	"runtime"
	"slices"
	"testing"

	"attndiff/ours/device"
	"attndiff/traces/tap"
)

const inTap = "(tap s0003.l07.q_rope) "

func TestStrayWrites(t *testing.T) {
	for _, tt := range []struct {
		name     string
		n, shift int
		want     string // of write_shifted on 100 floats; "" for nothing wrong
	}{
		{"inside", 100, 0, ""},
		{"one past the end", 100, 1, `wrote 4 bytes past the end of buffer "y" (400 bytes), at offset 400`},
		{"three past the end, after a gap", 3, 110, `wrote 12 bytes past the end of buffer "y" (400 bytes), at offset 440`},
		{"one before the start", 100, -1, `wrote 4 bytes before the start of buffer "y", at offset -4`},
		{"far past the end", 1, 3000, `crashed at block (0,0,0) thread (0,0,0): access to address 0x`},
		{"far before the start", 1, -2000, `, 8000 bytes before the start of buffer "y"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t, strict, "memory.cu")
			b.alloc(400, "neighbour")
			y := b.alloc(400, "y")
			err := b.run("write_shifted", 1, 128, at(y), device.Int(tt.n), device.Int(tt.shift))
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantError(t, err, "kernel write_shifted "+inTap, tt.want)
			// Reported once, and the device goes on.
			b.must("write_shifted", 1, 128, at(y), device.Int(100), device.Int(0))
			if got := get[float32](b, y); !slices.Equal(got, ramp[float32](100)) {
				t.Errorf("launch after a stray write gives %v", got)
			}
		})
	}
}

// A write that strays from a buffer of the launch into the guard zone of one
// that is not is found at the next download.
func TestStrayWriteFoundAtDownload(t *testing.T) {
	b := open(t, strict, "memory.cu")
	y, other := b.alloc(400, "y"), b.alloc(400, "other")
	b.must("write_shifted", 1, 128, at(y), device.Int(100), device.Int(0))
	other.(*buffer).after[0] ^= 0xff
	err := b.Download(make([]byte, 4), y, 0)
	wantError(t, err, "kernel write_shifted "+inTap+`wrote 1 bytes past the end of buffer "other"`)
}

// A buffer against a fence has a read outside of it stopped on that side; what
// lies inside reads as ever, whatever the buffer's size.
func TestEdge(t *testing.T) {
	for _, tt := range []struct {
		edge   string
		length int // of x, in floats
		index  int
		want   string // "" for nothing wrong
	}{
		{"end", 100, 0, ""},
		{"end", 100, 99, ""},
		{"end", 100, 100, `crashed at block (0,0,0) thread (0,0,0): access to address 0x`},
		{"end", 100, 103, `12 bytes past the end of buffer "x" (400 bytes)`},
		{"end", 1 << 13, 1 << 13, `0 bytes past the end of buffer "x" (32768 bytes)`},
		{"start", 100, 0, ""},
		{"start", 100, 99, ""},
		{"start", 100, -1, `4 bytes before the start of buffer "x"`},
	} {
		b := open(t, Options{Checks: true, Strict: true, Edge: tt.edge}, "memory.cu")
		x, y := put(b, "x", ramp[float32](tt.length)), b.alloc(4, "y")
		err := b.run("read_at", 1, 1, at(x), at(y), device.Int(tt.index))
		if tt.want != "" {
			wantError(t, err, tt.want)
		} else if got := get[float32](b, y)[0]; err != nil || got != float32(tt.index) {
			t.Errorf("edge %q, index %d: %v, %v", tt.edge, tt.index, got, err)
		}
	}
	if _, err := Open(source(t, "memory.cu"), Options{Edge: "both", CacheDir: testCache}); err == nil {
		t.Error("an unknown edge is taken")
	}
}

// Guard zones stand on the sides that are no fence.
func TestEdgeStrayWrites(t *testing.T) {
	for edge, tt := range map[string]struct {
		shift int
		want  string
	}{
		"end":   {-1, `wrote 4 bytes before the start of buffer "y", at offset -4`},
		"start": {1, `wrote 4 bytes past the end of buffer "y" (400 bytes), at offset 400`},
	} {
		b := open(t, Options{Checks: true, Strict: true, Edge: edge}, "memory.cu")
		y := b.alloc(400, "y")
		wantError(t, b.run("write_shifted", 1, 128, at(y), device.Int(100), device.Int(tt.shift)), tt.want)
	}
}

func TestUnwrittenOutput(t *testing.T) {
	for _, tt := range []struct {
		name  string
		n     int
		fresh bool
		want  string
	}{
		{"all written", 100, true, ""},
		{"tail unwritten", 97, true, `left 3 of 100 elements of "y" unwritten, first at index 97`},
		{"tail unwritten, not fresh", 97, false, ""},
		{"nothing written", 0, true, `left 100 of 100 elements of "y" unwritten, first at index 0`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t, strict, "memory.cu")
			y := put(b, "y", ramp[float32](100))
			err := b.Launch(device.Launch{Kernel: "write_shifted", Block: device.Dim3{X: 128},
				Args:   []device.Arg{at(y), device.Int(tt.n), device.Int(0)},
				Writes: []device.Region{{Buffer: y, Length: 400, Fresh: tt.fresh}}, At: tap.At(3, 7, tap.QRope)})
			if tt.want == "" && err != nil {
				t.Fatal(err)
			}
			if tt.want != "" {
				wantError(t, err, "kernel write_shifted "+inTap+tt.want)
			}
		})
	}
}

func TestUnwrittenHalves(t *testing.T) {
	b := open(t, strict, "numbers.cu")
	x, h, bf := put(b, "x", ramp[float32](8)), b.alloc(16, "h"), b.alloc(16, "bf")
	err := b.Launch(device.Launch{Kernel: "narrow", Block: device.Dim3{X: 32},
		Args: []device.Arg{at(x), at(h), at(bf), device.Int(7)},
		Writes: []device.Region{{Buffer: bf, Length: 14, Fresh: true, Type: device.BF16},
			{Buffer: h, Length: 16, Fresh: true, Type: device.F16}}})
	wantError(t, err, `left 1 of 8 elements of "h" unwritten, first at index 7`)
}

// Reading what nobody wrote gives NaN: inside a buffer, in either guard zone,
// and as f16 and bf16 too, as every pattern is NaN in all three types.
func TestPoisonReads(t *testing.T) {
	b := open(t, strict, "memory.cu")
	x, y := b.alloc(400, "x"), b.alloc(4, "y")
	for _, index := range []int{0, 99, 100, 200, -1, -1024} {
		b.must("read_at", 1, 1, at(x), at(y), device.Int(index))
		if v := get[float32](b, y)[0]; !isNaN(v) {
			t.Errorf("x[%d] = %v, want NaN", index, v)
		}
	}
	patterns := []uint16{poisonPattern, guardPattern}
	for n := range 200 {
		patterns = append(patterns, freshPattern(n))
	}
	for i, p := range patterns {
		if f16, bf16 := p&0x7fff > 0x7c00, p&0x7fff > 0x7f80; !f16 || !bf16 || p == 0x7fff {
			t.Errorf("pattern %#x is not a NaN that only we write", p)
		}
		if i >= 2 && (p == poisonPattern || p == guardPattern || p == patterns[i-1]) {
			t.Errorf("pattern %d, %#x, is taken", i, p)
		}
	}
}

func TestCrashes(t *testing.T) {
	for _, tt := range []struct {
		kernel string
		arg    int
		want   string
	}{
		{"divide", 0, "crashed at block (0,0,0) thread (0,0,0): integer division by zero"},
		{"overflow_stack", 1 << 20, "crashed at block (0,0,0) thread (0,0,0): stack overflow"},
		{"trap_at", 40, "crashed at block (0,0,0) thread (40,0,0): trap"},
		{"assert_below", 50, "stopped at block (0,0,0) thread (50,0,0): assertion threadIdx.x < limit failed at memory.cu:"},
	} {
		t.Run(tt.kernel, func(t *testing.T) {
			if tt.kernel == "divide" && runtime.GOARCH != "amd64" {
				t.Skip("division by zero raises no signal on this processor")
			}
			b := open(t, strict, "memory.cu")
			y := b.alloc(4*64, "y")
			for range 3 { // a crash leaves nothing behind that the next trips over
				wantError(t, b.run(tt.kernel, 1, 64, at(y), device.Int(tt.arg)), "kernel "+tt.kernel+" "+inTap+tt.want)
			}
			b.must("divide", 1, 64, at(y), device.Int(7))
			if got := get[int32](b, y); got[63] != 1 {
				t.Errorf("launch after a crash gives %v", got)
			}
		})
	}
}

func TestLenientDeviceGoesOn(t *testing.T) {
	b := open(t, lenient, "memory.cu")
	y := b.alloc(400, "y")
	b.must("write_shifted", 1, 128, at(y), device.Int(100), device.Int(1))
	b.must("trap_at", 1, 1, at(y), device.Int(0))
	got := b.Violations()
	if len(got) != 2 || got[0].Kernel != "write_shifted" || got[1].Kernel != "trap_at" || got[0].At != tap.At(3, 7, tap.QRope) {
		t.Errorf("violations = %v", got)
	}
}

func TestChecksOff(t *testing.T) {
	b := open(t, Options{Strict: true}, "memory.cu")
	y := b.alloc(400, "y")
	b.must("write_shifted", 1, 128, at(y), device.Int(100), device.Int(1))
	if got := b.Violations(); len(got) != 0 {
		t.Errorf("violations = %v", got)
	}
}

func TestAtomics(t *testing.T) {
	b := open(t, strict, "memory.cu")
	total, sum, largest := put(b, "total", []int32{0}), put(b, "sum", []float32{0}), put(b, "largest", []int32{-1})
	b.must("count", 10, 96, at(total), at(sum), at(largest))
	if n, s, m := get[int32](b, total)[0], get[float32](b, sum)[0], get[int32](b, largest)[0]; n != 960 || s != 480 || m != 959 {
		t.Errorf("counted %d, summed %v, largest %d; want 960, 480, 959", n, s, m)
	}
}

func TestBadMemoryUse(t *testing.T) {
	b, other := open(t, strict, "memory.cu"), open(t, strict, "memory.cu")
	y, foreign := b.alloc(400, "y"), other.alloc(400, "foreign")
	for _, tt := range []struct {
		name string
		do   func() error
		want string
	}{
		{"no bytes", func() error { _, err := b.Alloc(0, "none"); return err }, `allocate "none": 0 bytes`},
		{"upload past the end", func() error { return b.Upload(y, 399, make([]byte, 2)) }, `upload: bytes 399 to 401 of buffer "y", which has 400`},
		{"negative offset", func() error { return b.Download(make([]byte, 2), y, -1) }, `download: bytes -1 to 1 of buffer "y"`},
		{"foreign buffer", func() error { return b.Upload(foreign, 0, nil) }, `buffer "foreign" is not one of this device`},
		{"no buffer", func() error { return b.Upload(nil, 0, nil) }, "buffer nil is not one of this device"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantError(t, tt.do(), tt.want) })
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, b.Upload(y, 0, nil), "the device is closed")
	wantError(t, b.run("divide", 1, 1), "the device is closed")
	if _, err := b.Alloc(1, "late"); err == nil {
		t.Error("a closed device allocates")
	}
	if err := b.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// TestOrdinaryMemory: memory that nobody wrote holds a finite number, missing
// writes are not looked for, stray ones still are.
func TestOrdinaryMemory(t *testing.T) {
	b := open(t, Options{Checks: true, Strict: true, Ordinary: true}, "memory.cu")
	y := b.alloc(400, "y")
	for i, v := range get[float32](b, y) {
		if !(v > 0 && v < 1) {
			t.Fatalf("element %d of fresh memory is %g, want a small number", i, v)
		}
	}
	err := b.run("write_shifted", 1, 128, at(y), device.Int(100), device.Int(1))
	wantError(t, err, `past the end of buffer "y"`)
}

// A kernel that strays past the ends of all its buffers alike writes what it
// read there; that is found whatever memory is filled with.
func TestStraysAlike(t *testing.T) {
	for _, options := range []Options{{}, {Ordinary: true}, {Huge: 1}, {Huge: -1}} {
		options.Checks, options.Strict = true, true
		b := open(t, options, "memory.cu")
		const n = 100
		x, y, z := b.alloc(4*n, "x"), b.alloc(4*n, "y"), b.alloc(4*n, "z")
		for name, args := range map[string][]device.Arg{
			"add_too_many":  {at(x), at(y), at(z), device.Int(n)},
			"copy_too_many": {at(x), at(z), device.Int(n)},
		} {
			if err := b.run(name, 1, 128, args...); err == nil {
				t.Errorf("%s under %+v: nothing was found", name, options)
			}
		}
	}
}
