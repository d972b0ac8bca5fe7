package trace

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"unsafe"

	"attndiff/traces/half"
	"attndiff/traces/safetensors"
	"attndiff/traces/tap"
)

// Raw returns the tensor's bytes as they are in the file, row-major and
// little-endian. The result uses buf's memory when that is large enough.
func (r *Reader) Raw(k tap.Key, buf []byte) ([]byte, error) {
	t, err := r.tensor(k)
	if err != nil {
		return nil, err
	}
	buf = resize(buf, t.Bytes())
	return buf, r.file.ReadAt(t, buf, 0)
}

// Float32 returns the tensor's values, row-major. F16 and BF16 widen exactly;
// F64 rounds to nearest even and overflows to Inf, so what was recorded in F64
// for its precision is read with Float64. The result uses buf's memory when
// that is large enough.
func (r *Reader) Float32(k tap.Key, buf []float32) ([]float32, error) {
	return values(r, k, buf, F32)
}

// Float64 returns the tensor's values, row-major; every type widens exactly.
// The result uses buf's memory when that is large enough.
func (r *Reader) Float64(k tap.Key, buf []float64) ([]float64, error) {
	return values(r, k, buf, F64)
}

// values reads a tensor as elements of type T, which the file calls own. A
// tensor of that very type is read into place, on machines that order bytes as
// files do; others pass through a chunk.
func values[T half.Float](r *Reader, k tap.Key, buf []T, own DType) ([]T, error) {
	t, err := r.tensor(k)
	if err != nil {
		return nil, err
	}
	dt := DType(t.DType)
	buf = resize(buf, t.Bytes()/int64(dt.Size()))
	if dt == own && littleEndian {
		return buf, r.file.ReadAt(t, bytesOf(buf), 0)
	}
	return buf, widen(r.file, t, dt, buf, 0)
}

// Float32At fills buf with the tensor's values from an element on, row-major,
// as Float32 reads them: a part of a tensor that is too large to be held. A
// part that the tensor does not have is an error.
func (r *Reader) Float32At(k tap.Key, buf []float32, element int) error {
	t, err := r.tensor(k)
	if err != nil {
		return err
	}
	dt := DType(t.DType)
	off := int64(element) * int64(dt.Size())
	if dt == F32 && littleEndian {
		return r.file.ReadAt(t, bytesOf(buf), off)
	}
	return widen(r.file, t, dt, buf, off)
}

// chunkBytes is how much is converted at a time: little enough to be still in
// the first cache when it is converted, enough to be worth a system call.
const chunkBytes = 32 << 10

var chunks = sync.Pool{New: func() any { return new([chunkBytes]byte) }}

// widen reads a tensor chunk by chunk, from a byte on, and converts its
// elements to T.
func widen[T half.Float](file *safetensors.File, t safetensors.Tensor, dt DType, dst []T, off int64) error {
	chunk := chunks.Get().(*[chunkBytes]byte)
	defer chunks.Put(chunk)
	for len(dst) > 0 {
		n := min(len(dst), chunkBytes/dt.Size())
		src := chunk[:n*dt.Size()]
		if err := file.ReadAt(t, src, off); err != nil {
			return err
		}
		convert(dst[:n], src, dt)
		dst, off = dst[n:], off+int64(len(src))
	}
	return nil
}

// convert sets dst to the elements in src, whose length fits.
func convert[T half.Float](dst []T, src []byte, dt DType) {
	switch dt {
	case F64:
		for i := range dst {
			dst[i] = T(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	case F32:
		for i := range dst {
			dst[i] = T(math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:])))
		}
	case F16:
		half.WidenF16(dst, src)
	case BF16:
		half.WidenBF16(dst, src)
	}
}

// resize returns a slice of n elements, in buf's memory when it is large
// enough.
func resize[T any](buf []T, n int64) []T {
	return slices.Grow(buf[:0], int(n))[:n]
}

// littleEndian says whether this machine orders bytes as trace files do.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// bytesOf returns the memory that a slice of floats occupies.
func bytesOf[T half.Float](v []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(*new(T))))
}
