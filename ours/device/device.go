package device

import (
	"io"

	"attndiff/traces/tap"
)

// DType is the element type of a device buffer's contents.
type DType uint8

// Element types that buffers hold and GEMM takes.
const (
	F32 DType = iota
	F16
	BF16
	I32
	U8 // raw bytes, for quantised blocks
)

// String names the type as traces and CUDA's sources do: f32, f16.
func (d DType) String() string { return [...]string{"f32", "f16", "bf16", "i32", "u8"}[d] }

// Size returns the bytes of one element.
func (d DType) Size() int { return [...]int{4, 2, 2, 4, 1}[d] }

// Device is one accelerator with one in-order stream.
type Device interface {
	// Name says what it is: "CPU emulator, 1 thread", "NVIDIA H200".
	Name() string
	// Multiprocessors is how many blocks it runs side by side at the least,
	// which the size of a grid may follow.
	Multiprocessors() int
	// Alloc returns a buffer of n bytes; label names it in errors ("kq",
	// "k_cache"). Contents are undefined (the emulator fills them with NaN).
	Alloc(n int, label string) (Buffer, error)
	// Upload copies src to dst at a byte offset.
	Upload(dst Buffer, offset int, src []byte) error
	// Download waits for all work issued and copies len(dst) bytes out.
	Download(dst []byte, src Buffer, offset int) error
	// Launch runs one kernel.
	Launch(l Launch) error
	// Gemm runs one matrix product.
	Gemm(g Gemm) error
	io.Closer
}

// Buffer is device memory. A device accepts only its own buffers.
type Buffer interface {
	Bytes() int    // usable size
	Label() string // the name given to Alloc
}

// Dim3 is a CUDA grid or block size; a zero component means 1.
type Dim3 struct{ X, Y, Z int }

// Launch is one kernel launch, kernel<<<Grid, Block, SharedBytes>>>(Args...).
type Launch struct {
	Kernel      string // the extern "C" name in ours/kernels
	Grid, Block Dim3
	SharedBytes int      // dynamic shared memory
	Early       bool     // may begin before the work before it has ended: the kernel waits itself
	Args        []Arg    // in the kernel's parameter order
	Writes      []Region // what the kernel must have written, all of it, afterwards
	At          tap.Key  // the tap this launch computes, for errors
}

// Region is a part of a buffer, in bytes, that a launch writes.
type Region struct {
	Buffer         Buffer
	Offset, Length int
	// Fresh says that the kernel does not read the region before it writes
	// it: every element of Type (the zero value is F32) is a new one. A device
	// that checks memory may then fill the region with NaN before the launch
	// and look for elements left unwritten after it. Not for U8.
	Fresh bool
	Type  DType
}

// Arg is one kernel argument: exactly one of a Pointer, Int or Float.
type Arg interface{ isArg() }

// Pointer is a device address: a buffer plus a byte offset.
type Pointer struct {
	Buffer Buffer
	Offset int
}

// Int is a 32-bit signed kernel argument.
type Int int32

// Float is a 32-bit float kernel argument.
type Float float32

func (Pointer) isArg() {}
func (Int) isArg()     {}
func (Float) isArg()   {}

// Gemm is a matrix product in cuBLAS's terms, column-major:
//
//	C[m,n] = Alpha * op(A)[m,k] * op(B)[k,n] + Beta * C[m,n]
//
// op transposes when TransA or TransB is set; Lda, Ldb and Ldc are column
// strides in elements (cublasGemmEx). A and B may be F32, F16 or BF16, C is
// F32 and accumulation is f32 (CUBLAS_COMPUTE_32F, no TF32). A row-major
// weight W[out,in] is a column-major matrix [in,out] with ld = in, so
// Y[T,out] = X[T,in] W^T is TransA=true, m=out, n=T, k=in, lda=in, ldb=in,
// ldc=out.
type Gemm struct {
	TransA, TransB bool
	M, N, K        int
	Alpha, Beta    float32
	A, B, C        Matrix
	At             tap.Key // the tap this product computes, for errors
}

// Matrix is one GEMM operand: where it starts, its element type and its
// leading dimension in elements.
type Matrix struct {
	Pointer
	Type DType
	Ld   int
}
