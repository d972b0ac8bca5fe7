package gguf

import "fmt"

// Tensor is one tensor of a file.
type Tensor struct {
	Name  string
	Type  string // as ggml spells it: "F32", "F16", "BF16", "Q8_0", "Q4_K", ...
	Shape []int  // row-major, [out,in] for a matrix, [n] for a vector
	Size  int64  // bytes in the file

	offset int64 // bytes from the start of the file
}

// Cols returns the length of a row, the last size of the shape.
func (t Tensor) Cols() int { return t.Shape[len(t.Shape)-1] }

// Rows returns the number of rows; a vector is one row.
func (t Tensor) Rows() int {
	n := 1
	for _, s := range t.Shape[:len(t.Shape)-1] {
		n *= s
	}
	return n
}

// chunkBytes bounds the raw bytes held while a tensor is decoded.
const chunkBytes = 1 << 20

// Tensor returns the tensor of that name.
func (f *File) Tensor(name string) (Tensor, bool) {
	t, ok := f.tensors[name]
	return t, ok
}

// Raw returns a tensor's bytes as stored.
func (f *File) Raw(name string) ([]byte, error) {
	t, err := f.find(name)
	if err != nil {
		return nil, err
	}
	return f.RawRows(name, 0, t.Rows())
}

// RawRows returns the bytes of rows lo to hi-1 as stored.
func (f *File) RawRows(name string, lo, hi int) ([]byte, error) {
	t, err := f.rows(name, lo, hi)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, int64(hi-lo)*t.rowBytes())
	return raw, f.readRows(t, lo, raw)
}

// Float32 returns a tensor's values in row-major order.
func (f *File) Float32(name string) ([]float32, error) {
	t, err := f.find(name)
	if err != nil {
		return nil, err
	}
	return f.Float32Rows(name, 0, t.Rows())
}

// Float32Rows returns the values of rows lo to hi-1. Types this package does
// not decode go to the file's [Dequantizer]. It reads and decodes about a
// megabyte at a time and may be called from several goroutines.
func (f *File) Float32Rows(name string, lo, hi int) ([]float32, error) {
	t, err := f.rows(name, lo, hi)
	if err != nil {
		return nil, err
	}
	decode := f.decoder(t.Type)
	if decode == nil {
		return nil, &Error{Path: f.Path, Where: atTensor(name), What: "type " + t.Type + " cannot be decoded here",
			Fix: "use a model of type F32, F16, BF16 or Q8_0"}
	}
	cols, rowBytes := t.Cols(), t.rowBytes()
	step := int(min(int64(hi-lo), max(1, chunkBytes/rowBytes)))
	values := make([]float32, (hi-lo)*cols)
	raw := make([]byte, int64(step)*rowBytes)
	for row := lo; row < hi; row += step {
		n := min(step, hi-row)
		part := raw[:int64(n)*rowBytes]
		if err := f.readRows(t, row, part); err != nil {
			return nil, err
		}
		if err := decode(t.Type, part, values[(row-lo)*cols:(row-lo+n)*cols]); err != nil {
			return nil, &Error{Path: f.Path, Where: atTensor(name), What: err.Error(), Fix: fixCorrupt, Err: err}
		}
	}
	return values, nil
}

// decoder returns what decodes a type in this file, nil when nothing does.
func (f *File) decoder(typ string) Dequantizer {
	if decodable(typ) {
		return Decode
	}
	return f.dequantize
}

func (t Tensor) rowBytes() int64 { return t.Size / int64(t.Rows()) }

// find returns a tensor by name, or the error that says it is not there.
func (f *File) find(name string) (Tensor, error) {
	t, ok := f.tensors[name]
	if !ok {
		return Tensor{}, &Error{Path: f.Path, Where: atTensor(name), What: "not in the file", Fix: fixConvert}
	}
	return t, nil
}

// rows is find with a check of the row range.
func (f *File) rows(name string, lo, hi int) (Tensor, error) {
	t, err := f.find(name)
	if err == nil && (lo < 0 || hi < lo || hi > t.Rows()) {
		err = fmt.Errorf("model %s: tensor %q has %d rows, rows %d to %d were asked for", f.Path, name, t.Rows(), lo, hi)
	}
	return t, err
}

// readRows fills raw from row lo on.
func (f *File) readRows(t Tensor, lo int, raw []byte) error {
	if _, err := f.file.ReadAt(raw, t.offset+int64(lo)*t.rowBytes()); err != nil {
		return &Error{Path: f.Path, Where: atTensor(t.Name), What: "cannot be read: " + err.Error(), Fix: fixCorrupt, Err: err}
	}
	return nil
}
