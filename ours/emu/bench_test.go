package emu

import (
	"fmt"
	"testing"

	"attndiff/ours/device"
	"attndiff/ours/kernels"
)

// What a launch costs beside the kernel's own work.
func BenchmarkLaunch(b *testing.B) {
	d := open(b, strict, "bench.cu")
	for b.Loop() {
		d.must("nothing", 1, 1)
	}
}

// A kernel without barriers over a million elements, one thread each.
func BenchmarkElementwise(b *testing.B) {
	for _, options := range []Options{strict, {}} {
		b.Run(fmt.Sprintf("checks=%v", options.Checks), func(b *testing.B) {
			d := open(b, options, "bench.cu")
			const n = 1 << 20
			x, y := put(d, "x", ramp[float32](n)), put(d, "y", ramp[float32](n))
			b.SetBytes(12 * n)
			for b.Loop() {
				d.must("saxpy", n/256, 256, at(x), at(y), device.Float(0.5), device.Int(n))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/thread")
		})
	}
}

// A kernel of barriers and shuffles: RMSNorm of 40 rows of 896.
func BenchmarkRMSNorm(b *testing.B) {
	dev, err := Open(kernels.Default(), Options{Checks: true, Strict: true, CacheDir: testCache})
	if err != nil {
		b.Fatal(err)
	}
	defer dev.Close()
	d := &bench{b, dev}
	const rows, e = 40, 896
	x, w, y := put(d, "x", ramp[float32](rows*e)), put(d, "w", ramp[float32](e)), d.alloc(4*rows*e, "y")
	for b.Loop() {
		err := d.Launch(device.Launch{Kernel: "rms_norm", Grid: device.Dim3{X: rows}, Block: device.Dim3{X: 256},
			Args:   []device.Arg{at(x), at(w), at(y), device.Int(e), device.Float(1e-6)},
			Writes: []device.Region{{Buffer: y, Length: y.Bytes(), Fresh: true}}})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// Projections of the shipped model: Y[T,out] = X[T,896] W^T.
func BenchmarkGemm(b *testing.B) {
	for _, size := range []struct{ tokens, out int }{{40, 896}, {40, 2000}, {1, 896}, {1, 2000}} {
		for _, dtype := range []device.DType{device.F32, device.F16} {
			b.Run(fmt.Sprintf("T=%d/out=%d/type=%d", size.tokens, size.out, dtype), func(b *testing.B) {
				d := open(b, strict, "bench.cu")
				const in = 896
				w := put(d, "w", make([]uint16, size.out*in*dtype.Size()/2))
				x, y := put(d, "x", make([]float32, size.tokens*in)), d.alloc(4*size.tokens*size.out, "y")
				g := device.Gemm{TransA: true, M: size.out, N: size.tokens, K: in, Alpha: 1,
					A: device.Matrix{Pointer: at(w), Type: dtype, Ld: in},
					B: device.Matrix{Pointer: at(x), Ld: in},
					C: device.Matrix{Pointer: at(y), Ld: size.out}}
				for b.Loop() {
					if err := d.Gemm(g); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(2*float64(size.tokens)*float64(size.out)*in*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
