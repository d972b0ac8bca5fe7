package cuda

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"attndiff/ours/device"
	"attndiff/ours/kernels"
	"attndiff/traces/tap"
)

// misuse holds kernels that do what the device must find.
const misuse = `
// y[i + shift] = i for i in 0..n-1
// tap: q_rope
extern "C" __global__ void write_shifted(float *y, int n, int shift) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i + shift] = (float)i;
    }
}

extern "C" __global__ void trap(float *y) {
    y[0] = 1.0f;
    __trap();
}
`

// gpu opens a device on the GPU, or its stand-in where there is none.
func gpu(t *testing.T, options Options, text string) *Device {
	t.Helper()
	if fake != "" {
		useFake(t, fake)
	}
	if err := Available(); err != nil {
		t.Skip(err)
	}
	options.CacheDir = t.TempDir()
	d, err := Open(kernels.New(kernels.File{Name: "test.cu", Text: text}), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func alloc(t *testing.T, d *Device, n int, label string) device.Buffer {
	t.Helper()
	b, err := d.Alloc(n, label)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func upload(t *testing.T, d *Device, b device.Buffer, values []float32) {
	t.Helper()
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	if err := d.Upload(b, 0, raw); err != nil {
		t.Fatal(err)
	}
}

func download(t *testing.T, d *Device, b device.Buffer) []float32 {
	t.Helper()
	raw := make([]byte, b.Bytes()/4*4)
	if err := d.Download(raw, b, 0); err != nil {
		t.Fatal(err)
	}
	values := make([]float32, len(raw)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return values
}

var at = tap.At(0, 1, tap.QRope)

func shifted(y device.Buffer, n, shift int) device.Launch {
	return device.Launch{Kernel: "write_shifted", Grid: device.Dim3{X: (n + 127) / 128}, Block: device.Dim3{X: 128},
		Args:   []device.Arg{device.Pointer{Buffer: y}, device.Int(n), device.Int(shift)},
		Writes: []device.Region{{Buffer: y, Length: y.Bytes(), Fresh: true}}, At: at}
}

// TestViolations: stray and missing writes are found, counted and placed, and
// the zones are mended so that nothing is found twice.
func TestViolations(t *testing.T) {
	for _, test := range []struct {
		name     string
		n, shift int
		want     []string
	}{
		{"right", 1000, 0, nil},
		{"past the end", 1000, 3, []string{
			`wrote 12 bytes past the end of buffer "y" (4000 bytes), at offset 4000`,
			`left 3 of 1000 elements of "y" unwritten, first at index 0`}},
		{"before the start", 1000, -2, []string{
			`wrote 8 bytes before the start of buffer "y", at offset -8`,
			`left 2 of 1000 elements of "y" unwritten, first at index 998`}},
		{"too few", 990, 0, []string{`left 10 of 1000 elements of "y" unwritten, first at index 990`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := gpu(t, Options{Checks: true}, misuse)
			alloc(t, d, 100, "before")
			y := alloc(t, d, 4000, "y")
			alloc(t, d, 100, "after")
			for range 2 {
				if err := d.Launch(shifted(y, test.n, test.shift)); err != nil {
					t.Fatal(err)
				}
			}
			download(t, d, y)
			found := d.Violations()
			if len(found) != 2*len(test.want) {
				t.Fatalf("%d violations, want the %d twice: %v", len(found), len(test.want), found)
			}
			for i, v := range found {
				want := "kernel write_shifted (tap s0000.l01.q_rope) " + test.want[i%len(test.want)]
				if v.Error() != want {
					t.Errorf("violation %d: %s\nwant %s", i, v, want)
				}
			}
		})
	}
}

// TestEarly: a launch that may begin early computes what any other does, and a
// driver's refusal of it is an error.
func TestEarly(t *testing.T) {
	d := gpu(t, Options{Checks: true}, misuse)
	y := alloc(t, d, 4000, "y")
	early := shifted(y, 1000, 0)
	early.Early = true
	if err := d.Launch(early); err != nil {
		t.Fatal(err)
	}
	plain := alloc(t, d, 4000, "plain")
	if err := d.Launch(shifted(plain, 1000, 0)); err != nil {
		t.Fatal(err)
	}
	if got, want := download(t, d, y), download(t, d, plain); !slices.Equal(got, want) {
		t.Errorf("an early launch wrote %v, a plain one %v", got[:4], want[:4])
	}
	if v := d.Violations(); len(v) > 0 {
		t.Error(v)
	}
	if fake == "" {
		return // a real driver is not made to fail
	}
	t.Setenv("FAKE_CUDA", "cuLaunchKernelEx:1")
	if err := d.Launch(early); err == nil {
		t.Error("a refused launch is no error")
	}
}

// TestPoison: memory that nobody wrote reads NaN, or an ordinary number.
func TestPoison(t *testing.T) {
	for _, ordinary := range []bool{false, true} {
		d := gpu(t, Options{Checks: true, Ordinary: ordinary}, misuse)
		for i, v := range download(t, d, alloc(t, d, 4002, "y")) {
			if finite := v > 0 && v < 1; finite != ordinary {
				t.Fatalf("ordinary %t: element %d is %g", ordinary, i, v)
			}
		}
	}
}

// TestFault: a fault of the GPU names kernel and tap, once; then the device is
// lost and says so. Each case runs in a process of its own, since a fault ends
// the GPU's work for the whole process.
func TestFault(t *testing.T) {
	const variable = "ATTNDIFF_TEST_FAULT"
	if mode := os.Getenv(variable); mode != "" {
		testFault(t, mode == "checks")
		return
	}
	if fake != "" {
		useFake(t, fake)
	}
	if err := Available(); err != nil {
		t.Skip(err)
	}
	for _, mode := range []string{"checks", "no checks"} {
		child := exec.Command(os.Args[0], "-test.run=^TestFault$")
		child.Env = append(os.Environ(), variable+"="+mode)
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", mode, err, out)
		}
	}
}

func testFault(t *testing.T, checks bool) {
	d := gpu(t, Options{Checks: checks}, misuse)
	y := alloc(t, d, 400, "y")
	upload(t, d, y, make([]float32, 100))
	err := d.Launch(device.Launch{Kernel: "trap", Args: []device.Arg{device.Pointer{Buffer: y}}, At: at})
	if err == nil {
		err = d.Download(make([]byte, 4), y, 0)
	}
	if err == nil || !strings.Contains(err.Error(), "kernel trap (tap s0000.l01.q_rope) faulted: ") {
		t.Errorf("the fault: %v", err)
	}
	if err := d.Download(make([]byte, 4), y, 0); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("after the fault: %v", err)
	}
}

// TestGemm compares with products in float64, for every pair of operand types
// and transposes. The bound is that of f32 summation over k terms in any
// order: k * 2^-24 times the sum of magnitudes (Higham, Accuracy and Stability
// of Numerical Algorithms, section 4.2); TF32 would exceed it.
func TestGemm(t *testing.T) {
	const m, n, k = 37, 5, 64
	d := gpu(t, Options{Checks: true}, misuse)
	random := rand.New(rand.NewPCG(1, 2))
	operand := func(dtype device.DType, count int) (device.Buffer, []float64) {
		var raw []byte
		values := make([]float64, count)
		for i := range values {
			v := float32(random.NormFloat64())
			switch dtype {
			case device.F32:
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
			case device.BF16:
				raw = binary.LittleEndian.AppendUint16(raw, uint16(math.Float32bits(v)>>16))
				v = math.Float32frombits(math.Float32bits(v) &^ 0xffff)
			case device.F16:
				bits := uint16(random.IntN(0x3c00)) | uint16(random.IntN(2))<<15 // magnitude below 1
				raw = binary.LittleEndian.AppendUint16(raw, bits)
				v = half(bits)
			}
			values[i] = float64(v)
		}
		b := alloc(t, d, len(raw), "operand")
		if err := d.Upload(b, 0, raw); err != nil {
			t.Fatal(err)
		}
		return b, values
	}
	types := []device.DType{device.F32, device.F16, device.BF16}
	for _, ta := range types {
		for _, tb := range types {
			for flags := range 4 {
				transA, transB := flags&1 != 0, flags&2 != 0
				a, av := operand(ta, m*k)
				b, bv := operand(tb, n*k)
				c := alloc(t, d, 4*m*n, "c")
				lda, ldb := m, k
				if transA {
					lda = k
				}
				if transB {
					ldb = n
				}
				err := d.Gemm(device.Gemm{TransA: transA, TransB: transB, M: m, N: n, K: k, Alpha: 1,
					A: device.Matrix{Pointer: device.Pointer{Buffer: a}, Type: ta, Ld: lda},
					B: device.Matrix{Pointer: device.Pointer{Buffer: b}, Type: tb, Ld: ldb},
					C: device.Matrix{Pointer: device.Pointer{Buffer: c}, Type: device.F32, Ld: m}, At: at})
				if err != nil {
					t.Fatal(err)
				}
				got := download(t, d, c)
				for j := range n {
					for i := range m {
						sum, size := 0.0, 0.0
						for l := range k {
							ai, bi := l*m+i, j*k+l
							if transA {
								ai = i*k + l
							}
							if transB {
								bi = l*n + j
							}
							sum += av[ai] * bv[bi]
							size += math.Abs(av[ai] * bv[bi])
						}
						if diff := math.Abs(float64(got[j*m+i]) - sum); !(diff <= k*size/(1<<24)) {
							t.Fatalf("types %d %d, transposes %t %t: C[%d,%d] = %g, want %g", ta, tb, transA, transB, i, j, got[j*m+i], sum)
						}
					}
				}
			}
		}
	}
}

// TestGemmForgets: the f32 copy of a 16-bit operand is made anew when a kernel
// or an upload changed the operand.
func TestGemmForgets(t *testing.T) {
	d := gpu(t, Options{}, misuse)
	one, two := []byte{0, 0x3c}, []byte{0, 0x40} // f16
	a, b, c := alloc(t, d, 2, "a"), alloc(t, d, 4, "b"), alloc(t, d, 4, "c")
	upload(t, d, b, []float32{3})
	for _, test := range []struct {
		raw  []byte
		want float32
	}{{one, 3}, {two, 6}} {
		if err := d.Upload(a, 0, test.raw); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := d.Gemm(device.Gemm{M: 1, N: 1, K: 1, Alpha: 1,
				A: device.Matrix{Pointer: device.Pointer{Buffer: a}, Type: device.F16, Ld: 1},
				B: device.Matrix{Pointer: device.Pointer{Buffer: b}, Type: device.F32, Ld: 1},
				C: device.Matrix{Pointer: device.Pointer{Buffer: c}, Type: device.F32, Ld: 1}}); err != nil {
				t.Fatal(err)
			}
			if got := download(t, d, c)[0]; got != test.want {
				t.Errorf("product %g, want %g", got, test.want)
			}
		}
	}
}

// half returns the value of a finite f16.
func half(bits uint16) float32 {
	sign := 1 - 2*float64(bits>>15)
	exponent, mantissa := int(bits>>10&31), float64(bits&1023)
	if exponent == 0 {
		return float32(sign * math.Ldexp(mantissa, -24))
	}
	return float32(sign * math.Ldexp(1024+mantissa, exponent-25))
}

// TestRefusals: what cannot be launched is refused with a reason, before the
// GPU sees it.
func TestRefusals(t *testing.T) {
	d := gpu(t, Options{Checks: true}, misuse)
	y := alloc(t, d, 400, "y")
	other := gpu(t, Options{}, misuse)
	foreign := alloc(t, other, 400, "foreign")
	for _, test := range []struct {
		name string
		edit func(*device.Launch)
		want string
	}{
		{"unknown kernel", func(l *device.Launch) { l.Kernel = "nothing" }, "no such kernel; there are trap, write_shifted"},
		{"argument count", func(l *device.Launch) { l.Args = l.Args[:2] }, "2 arguments for 3 parameters (y, n, shift)"},
		{"argument kind", func(l *device.Launch) { l.Args[1] = device.Float(1) }, "argument n is a float; the kernel declares int n"},
		{"block", func(l *device.Launch) { l.Block.X = 2048 }, "block size x = 2048; CUDA allows 1 to 1024"},
		{"shared memory", func(l *device.Launch) { l.SharedBytes = 1 << 20 }, "1048576 bytes of dynamic shared memory"},
		{"offset", func(l *device.Launch) { l.Args[0] = device.Pointer{Buffer: y, Offset: 404} }, `argument y: bytes 404 to 404 of buffer "y", which has 400`},
		{"foreign buffer", func(l *device.Launch) { l.Args[0] = device.Pointer{Buffer: foreign} }, `buffer "foreign" is not one of this device`},
		{"region", func(l *device.Launch) { l.Writes[0].Length = 401 }, `bytes 0 to 401 of buffer "y", which has 400`},
	} {
		l := shifted(y, 100, 0)
		test.edit(&l)
		if err := d.Launch(l); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want %q", test.name, err, test.want)
		}
	}
}
