package emu

import (
	"embed"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"attndiff/ours/device"
	"attndiff/ours/kernels"
	"attndiff/traces/tap"
)

//go:embed testdata/*.cu
var testdata embed.FS

// testCache is the kernel cache all tests share, so that each file of testdata
// is compiled once per run.
var testCache string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "emu-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testCache = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// source returns files of testdata as a kernel source.
func source(t testing.TB, names ...string) kernels.Source {
	t.Helper()
	var files []kernels.File
	for _, name := range names {
		text, err := testdata.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, kernels.File{Name: name, Text: string(text)})
	}
	return kernels.New(files...)
}

// open opens a device on one file of testdata.
func open(t testing.TB, options Options, file string) *bench {
	t.Helper()
	options.CacheDir = testCache
	d, err := Open(source(t, file), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return &bench{t, d}
}

var (
	strict  = Options{Checks: true, Strict: true}
	lenient = Options{Checks: true}
)

// bench is a device on the test's workbench: what fails fails the test.
type bench struct {
	testing.TB
	*Device
}

func (b *bench) alloc(bytes int, label string) device.Buffer {
	b.Helper()
	buf, err := b.Alloc(bytes, label)
	if err != nil {
		b.Fatal(err)
	}
	return buf
}

// put allocates a buffer with these contents.
func put[T int32 | uint16 | float32](b *bench, label string, values []T) device.Buffer {
	b.Helper()
	raw, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		b.Fatal(err)
	}
	buf := b.alloc(len(raw), label)
	if err := b.Upload(buf, 0, raw); err != nil {
		b.Fatal(err)
	}
	return buf
}

// get downloads a whole buffer.
func get[T int32 | uint16 | float32](b *bench, buf device.Buffer) []T {
	b.Helper()
	raw := make([]byte, buf.Bytes())
	if err := b.Download(raw, buf, 0); err != nil {
		b.Fatal(err)
	}
	var zero T
	values := make([]T, len(raw)/binary.Size(zero))
	if _, err := binary.Decode(raw, binary.LittleEndian, values); err != nil {
		b.Fatal(err)
	}
	return values
}

// run launches a kernel on a grid and block of one axis.
func (b *bench) run(kernel string, blocks, threads int, args ...device.Arg) error {
	return b.Launch(device.Launch{Kernel: kernel, Grid: device.Dim3{X: blocks}, Block: device.Dim3{X: threads},
		Args: args, At: tap.At(3, 7, tap.QRope)})
}

// must runs a kernel that does nothing wrong.
func (b *bench) must(kernel string, blocks, threads int, args ...device.Arg) {
	b.Helper()
	if err := b.run(kernel, blocks, threads, args...); err != nil {
		b.Fatal(err)
	}
}

// at is the address of a buffer.
func at(buf device.Buffer) device.Pointer { return device.Pointer{Buffer: buf} }

// ramp returns n values 0, 1, 2 and so on.
func ramp[T int32 | float32](n int) []T {
	values := make([]T, n)
	for i := range values {
		values[i] = T(i)
	}
	return values
}

// wantError fails unless the error's text has all the parts.
func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q lacks %q", err, p)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q has more than one line", err)
	}
}

// isNaN reports whether an f32 is NaN.
func isNaN(v float32) bool { return math.IsNaN(float64(v)) }
