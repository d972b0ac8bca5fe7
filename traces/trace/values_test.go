package trace

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"attndiff/traces/tap"
)

// series records one tensor of the values in every type and opens the trace.
func series(t testing.TB, values []float64) (*Reader, map[DType]tap.Key) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.safetensors")
	w, err := Create(path, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	keys := map[DType]tap.Key{
		F64: tap.At(0, 0, tap.AttnNorm), F32: tap.At(0, 0, tap.QProj), F16: tap.At(0, 0, tap.KQ), BF16: tap.At(0, 0, tap.KQV),
	}
	for dt, k := range keys {
		if err := w.Put(k, dt, []int{len(values)}, encode(dt, values)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(sampleMeta()); err != nil {
		t.Fatal(err)
	}
	return open(t, path), keys
}

func TestEveryTypeReads(t *testing.T) {
	// More than one chunk of every type, and not a whole number of chunks.
	values := sampleValues(2*chunkBytes+3, 5)
	r, keys := series(t, values)
	// Both ways to read: into place where the machine allows, and by chunks as
	// on a machine that orders bytes the other way.
	host := littleEndian
	defer func() { littleEndian = host }()
	for _, littleEndian = range []bool{host, false} {
		for dt, k := range keys {
			narrow, err := r.Float32(k, nil)
			if err != nil {
				t.Fatal(err)
			}
			wide, err := r.Float64(k, nil)
			if err != nil {
				t.Fatal(err)
			}
			const from, n = 7, chunkBytes + 1
			part := make([]float32, n)
			if err := r.Float32At(k, part, from); err != nil {
				t.Fatal(err)
			}
			for i, v := range part {
				if v != narrow[from+i] {
					t.Fatalf("%s: element %d by itself is %g, want %g", dt, from+i, v, narrow[from+i])
				}
			}
			for _, beyond := range []int{-1, len(values) - n + 1} {
				if err := r.Float32At(k, part, beyond); err == nil {
					t.Errorf("%s: no error for %d elements from %d on of %d", dt, n, beyond, len(values))
				}
			}
			if len(narrow) != len(values) || len(wide) != len(values) {
				t.Fatalf("%s: %d and %d values, want %d", dt, len(narrow), len(wide), len(values))
			}
			for i, v := range values {
				if float64(narrow[i]) != v || wide[i] != v {
					t.Fatalf("%s: element %d reads %v and %v, want %v (in place: %v)", dt, i, narrow[i], wide[i], v, littleEndian)
				}
			}
			raw, err := r.Raw(k, nil)
			if err != nil || !bytes.Equal(raw, encode(dt, values)) {
				t.Errorf("%s: Raw differs from what was written, %v", dt, err)
			}
		}
	}
}

func TestSpecialValuesRead(t *testing.T) {
	values := []float64{math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0}
	r, keys := series(t, append(values, math.NaN()))
	for dt, k := range keys {
		got, err := r.Float32(k, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if math.Float64bits(float64(got[i])) != math.Float64bits(v) {
				t.Errorf("%s: %v reads %v", dt, v, got[i])
			}
		}
		if nan := got[len(values)]; nan == nan {
			t.Errorf("%s: NaN reads %v", dt, nan)
		}
	}
}

// TestFloat32NarrowsF64 pins what the doc comment promises: to nearest, ties
// to even, Inf beyond the range.
func TestFloat32NarrowsF64(t *testing.T) {
	r, keys := series(t, []float64{1 + 0x1p-24, 1 + 0x3p-24, 1 + 0x1p-24 + 0x1p-50, 1e300, -1e300, 1e-300})
	got, err := r.Float32(keys[F64], nil)
	if err != nil {
		t.Fatal(err)
	}
	inf := float32(math.Inf(1))
	want := []float32{1, 1 + 0x2p-23, 1 + 0x1p-23, inf, -inf, 0}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("element %d reads %b, want %b", i, got[i], want[i])
		}
	}
}

func TestBuffersAreReused(t *testing.T) {
	r, keys := series(t, sampleValues(100, 1))
	for dt, k := range keys {
		buf := make([]float32, 7, 200)
		if got, err := r.Float32(k, buf); err != nil || &got[0] != &buf[0] || len(got) != 100 {
			t.Errorf("%s: a large enough buffer was not used, %v", dt, err)
		}
		if got, err := r.Float32(k, make([]float32, 3)); err != nil || len(got) != 100 {
			t.Errorf("%s: a buffer too small gave %d values, %v", dt, len(got), err)
		}
		allocs := testing.AllocsPerRun(10, func() { buf, _ = r.Float32(k, buf) })
		if allocs != 0 {
			t.Errorf("%s: %v allocations a read into a large enough buffer", dt, allocs)
		}
	}
}

func TestAbsentTensor(t *testing.T) {
	r, _ := series(t, nil)
	k := tap.At(1, 1, tap.LOut)
	_, err32 := r.Float32(k, nil)
	_, err64 := r.Float64(k, nil)
	_, errRaw := r.Raw(k, nil)
	for _, err := range []error{err32, err64, errRaw} {
		if err == nil || !strings.Contains(err.Error(), `no tensor "s0001.l01.l_out"`) {
			t.Errorf("error %v does not name the tensor", err)
		}
	}
}

func TestConcurrentReads(t *testing.T) {
	values := sampleValues(40_000, 3)
	r, keys := series(t, values)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var buf []float32
			for dt, k := range keys {
				var err error
				if buf, err = r.Float32(k, buf); err != nil {
					t.Error(err)
					return
				}
				for i, v := range values {
					if float64(buf[i]) != v {
						t.Errorf("%s: element %d reads %v, want %v", dt, i, buf[i], v)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkRead reads one tensor of 16 MiB of values over and over; the rate
// is in bytes of the file.
func BenchmarkRead(b *testing.B) {
	const n = 4 << 20
	r, keys := series(b, sampleValues(n, 1))
	for _, dt := range []DType{F32, F16, BF16, F64} {
		b.Run(fmt.Sprintf("%s-to-float32", dt), func(b *testing.B) {
			b.SetBytes(int64(n * dt.Size()))
			buf := make([]float32, n)
			for b.Loop() {
				if _, err := r.Float32(keys[dt], buf); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%s-to-float64", dt), func(b *testing.B) {
			b.SetBytes(int64(n * dt.Size()))
			buf := make([]float64, n)
			for b.Loop() {
				if _, err := r.Float64(keys[dt], buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
