package emu

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"attndiff/ours/device"
	"attndiff/ours/kernels"
)

func TestBadLaunches(t *testing.T) {
	b := open(t, strict, "memory.cu")
	y := b.alloc(400, "y")
	good := func() device.Launch {
		return device.Launch{Kernel: "write_shifted", Block: device.Dim3{X: 32}, Args: []device.Arg{at(y), device.Int(3), device.Int(0)}}
	}
	for _, tt := range []struct {
		name   string
		change func(l *device.Launch)
		want   string
	}{
		{"nothing", func(*device.Launch) {}, ""},
		{"zero sizes mean one", func(l *device.Launch) { l.Block = device.Dim3{} }, ""},
		{"largest block", func(l *device.Launch) { l.Block = device.Dim3{X: 1024} }, ""},
		{"unknown kernel", func(l *device.Launch) { l.Kernel = "writeshifted" },
			"kernel writeshifted (tap s0000.l00.inp_embd): there is no such kernel; there are add_too_many, assert_below, "},
		{"too few arguments", func(l *device.Launch) { l.Args = l.Args[:2] }, "2 arguments for 3 parameters (y, n, shift)"},
		{"float for int", func(l *device.Launch) { l.Args[1] = device.Float(3) }, "argument n is a float; the kernel declares int n"},
		{"int for pointer", func(l *device.Launch) { l.Args[0] = device.Int(3) }, "argument y is a int; the kernel declares float * y"},
		{"no argument", func(l *device.Launch) { l.Args[2] = nil }, "argument shift is <nil>"},
		{"pointer past the end", func(l *device.Launch) { l.Args[0] = device.Pointer{Buffer: y, Offset: 404} }, `argument y: offset 404 in buffer "y" of 400 bytes`},
		{"misaligned pointer", func(l *device.Launch) { l.Args[0] = device.Pointer{Buffer: y, Offset: 6} }, "is no multiple of 4, as float * needs"},
		{"nil buffer", func(l *device.Launch) { l.Args[0] = device.Pointer{} }, "argument y: buffer nil"},
		{"block too large", func(l *device.Launch) { l.Block = device.Dim3{X: 32, Y: 33} }, "block of 32 x 33 x 1 = 1056 threads; CUDA allows 1024"},
		{"block too deep", func(l *device.Launch) { l.Block = device.Dim3{Z: 65} }, "block size z = 65; CUDA allows 1 to 64"},
		{"negative grid", func(l *device.Launch) { l.Grid.X = -1 }, "grid size x = -1; CUDA allows 1 to 2147483647"},
		{"grid too tall", func(l *device.Launch) { l.Grid.Y = 65536 }, "grid size y = 65536; CUDA allows 1 to 65535"},
		{"grid of too many blocks", func(l *device.Launch) { l.Grid = device.Dim3{X: 1 << 20, Y: 1 << 15} }, "blocks; the emulator runs at most"},
		{"too much shared memory", func(l *device.Launch) { l.SharedBytes = 48*1024 + 1 }, "49153 bytes of dynamic shared memory; CUDA allows 0 to 49152"},
		{"region past the end", func(l *device.Launch) { l.Writes = []device.Region{{Buffer: y, Length: 401}} }, `region to write: bytes 0 to 401 of buffer "y"`},
		{"fresh bytes", func(l *device.Launch) {
			l.Writes = []device.Region{{Buffer: y, Length: 4, Fresh: true, Type: device.U8}}
		}, "cannot be fresh"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := good()
			tt.change(&l)
			err := b.Launch(l)
			if tt.want == "" && err != nil {
				t.Fatal(err)
			}
			if tt.want != "" {
				wantError(t, err, tt.want)
			}
		})
	}
}

func TestBadOptions(t *testing.T) {
	_, err := Open(kernels.New(), Options{Order: "sideways", CacheDir: testCache})
	wantError(t, err, `thread order "sideways": want forward, reverse or shuffle`)
}

// Two devices on one library and a third on another, used at the same time,
// and two goroutines on one device.
func TestConcurrentDevices(t *testing.T) {
	devices := []*bench{open(t, strict, "sync.cu"), open(t, Options{Checks: true, Strict: true, Order: "reverse"}, "sync.cu"), open(t, strict, "memory.cu")}
	const n = 77
	use := func(b *bench) error {
		y, err := b.Alloc(4*n, "y")
		if err != nil {
			return err
		}
		for range 50 {
			if b == devices[2] {
				err = b.run("write_shifted", 1, 128, at(y), device.Int(n), device.Int(0))
			} else {
				err = b.run("early_exit", 1, 96, at(y), at(y), device.Int(n))
			}
			if err != nil {
				return err
			}
		}
		return b.Download(make([]byte, 4*n), y, 0)
	}
	var wg sync.WaitGroup
	errs := make([]error, 2*len(devices))
	for i := range errs {
		wg.Go(func() { errs[i] = use(devices[i%len(devices)]) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

// The repository's own kernels compile and every one can be found.
func TestOwnKernels(t *testing.T) {
	d, err := Open(kernels.Default(), Options{CacheDir: testCache})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	list, err := kernels.Default().Kernels()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		if d.library.kernel(k.Name) == nil {
			t.Errorf("kernel %s is not in the library", k.Name)
		}
	}
	if len(list) == 0 || !slices.ContainsFunc(list, func(k kernels.Kernel) bool { return k.Name == "rms_norm" }) {
		t.Errorf("kernels = %v", fmt.Sprint(list))
	}
}
