package gguf

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// structure is what a walk over a file's header finds.
type structure struct {
	keyTypes map[string]uint32 // metadata type of every key; of an array, of its elements
	arrays   map[string]uint64 // length of every array key
	tensors  []Tensor          // in file order, offsets from the start of the file
}

// Limits of the format: keys are at most 65535 bytes (the GGUF specification),
// tensor names and dimensions as ggml.h's GGML_MAX_NAME and GGML_MAX_DIMS.
const (
	maxKey        = 1<<16 - 1
	maxTensorName = 63
	maxDims       = 4

	minKeyBytes    = 8 + 4 + 1     // empty key, type, one byte
	minTensorBytes = 8 + 4 + 4 + 8 // empty name, no dimension, type, offset

	defaultAlignment = 32
)

// walk checks that a GGUF file's structure is sound and fits its size: every
// count and length is held against the bytes that are left before it is
// believed, and every tensor's extent against the file. It reads no values
// but the alignment; those are left to ollama's reader, which trusts lengths
// and may only be let loose on a file that passed here.
//
// The tensor list is taken from here too: ollama's reader takes
// general.alignment for a signed integer, which it is not, and so places the
// tensors of a file with any other alignment than 32 wrongly.
func walk(r io.Reader, size int64) (*structure, *Error) {
	c := newCursor(r, size)
	nTensors, nKeys, e := header(c)
	if e != nil {
		return nil, e
	}
	s := &structure{keyTypes: map[string]uint32{}, arrays: map[string]uint64{}}
	alignment := int64(defaultAlignment)
	for i := range nKeys {
		where := fmt.Sprintf("key %d of %d", i+1, nKeys)
		key := c.name(maxKey, "its name")
		if c.err == nil {
			where = atKey(key)
		}
		if _, twice := s.keyTypes[key]; twice && c.err == nil {
			c.err = fmt.Errorf("appears twice")
		}
		if a := s.value(c, key); a != 0 {
			alignment = a
		}
		if c.err != nil {
			return nil, &Error{Where: where, What: c.err.Error(), Fix: fixCorrupt}
		}
	}
	return s, s.readTensors(c, nTensors, alignment)
}

// header reads magic, version and counts.
func header(c *cursor) (nTensors, nKeys uint64, e *Error) {
	fail := func(what, fix string) (uint64, uint64, *Error) {
		return 0, 0, &Error{Where: "header", What: what, Fix: fix}
	}
	if c.size == 0 {
		return fail("the file is empty", fixCorrupt)
	}
	magic := make([]byte, min(4, c.size))
	c.bytes(magic)
	if string(magic) != "GGUF" {
		fix := "give a GGUF model file"
		if strings.HasPrefix(string(magic), "vers") {
			fix = "a git LFS pointer starts so: run git lfs pull"
		}
		return fail(fmt.Sprintf("not a GGUF file, it starts with %q", magic), fix)
	}
	switch version := c.u32(); {
	case c.err != nil:
	case version&0xffff == 0 && version != 0:
		return fail("a big-endian GGUF file", "convert it to little-endian")
	case version < 2 || version > 3:
		return fail(fmt.Sprintf("GGUF version %d, only 2 and 3 are read", version), fixConvert)
	}
	nTensors, nKeys = c.u64(), c.u64()
	c.fits(nTensors, minTensorBytes, "the tensor count")
	c.fits(nKeys, minKeyBytes, "the key count")
	if c.err != nil {
		return fail(c.err.Error(), fixCorrupt)
	}
	return nTensors, nKeys, nil
}

// value passes over one metadata value and notes its type. For
// general.alignment it returns the value, else 0.
func (s *structure) value(c *cursor, key string) (alignment int64) {
	typ, n := c.u32(), uint64(1)
	if typ == valArray {
		typ, n = c.u32(), c.u64()
		s.arrays[key] = n
	}
	t, known := valueTypes[typ]
	if (!known || typ == valArray) && c.err == nil {
		c.err = fmt.Errorf("unknown value type %d", typ)
	}
	if c.err != nil {
		return 0
	}
	s.keyTypes[key] = typ
	_, array := s.arrays[key]
	switch {
	case key == "general.alignment":
		if typ != valUint32 || array {
			c.err = fmt.Errorf("is not a uint32")
			return 0
		}
		alignment = int64(c.u32())
		if c.err == nil && (alignment == 0 || alignment&(alignment-1) != 0) {
			c.err = fmt.Errorf("alignment %d is not a power of two", alignment)
		}
		return alignment
	case typ == valString:
		if c.fits(n, 8, "the array length") {
			for i := uint64(0); i < n && c.err == nil; i++ {
				c.skip(c.u64(), 1, "the string length")
			}
		}
	default:
		c.skip(n, t.Bytes, "the array length")
	}
	return 0
}

// readTensors reads the tensor list and places every tensor in the file. Like
// ggml it takes only tensors that follow one another, padded to the
// alignment, in the order of the list.
func (s *structure) readTensors(c *cursor, n uint64, alignment int64) *Error {
	pad := func(v int64) int64 { return (v + alignment - 1) &^ (alignment - 1) }
	seen := map[string]bool{}
	var expect int64
	for i := range n {
		where := fmt.Sprintf("tensor %d of %d", i+1, n)
		t := Tensor{Name: c.name(maxTensorName, "its name")}
		if c.err == nil {
			where = atTensor(t.Name)
		}
		if seen[t.Name] && c.err == nil {
			c.err = fmt.Errorf("appears twice")
		}
		seen[t.Name] = true
		t.readShape(c)
		if t.offset = int64(c.u64()); c.err == nil && t.offset != expect {
			c.err = fmt.Errorf("starts at byte %d of the data, where %d is its place", uint64(t.offset), expect)
		}
		if c.err != nil {
			return &Error{Where: where, What: c.err.Error(), Fix: fixCorrupt}
		}
		// Sizes are below 2^62 each, but their sum may not be.
		if expect = pad(expect + t.Size); expect < 0 || expect > math.MaxInt64/2 {
			return &Error{Where: where, What: "the tensors before and with it claim more bytes than any file has", Fix: fixCorrupt}
		}
		s.tensors = append(s.tensors, t)
	}
	start := pad(c.pos)
	for i := range s.tensors {
		t := &s.tensors[i]
		t.offset += start
		if t.offset+t.Size > c.size {
			return &Error{Where: atTensor(t.Name), Fix: fixCorrupt,
				What: fmt.Sprintf("ends at byte %d, past the end of the file at %d", t.offset+t.Size, c.size)}
		}
	}
	return nil
}

// readShape reads dimensions and type and works out the tensor's size.
func (t *Tensor) readShape(c *cursor) {
	dims := c.u32()
	if c.err == nil && (dims < 1 || dims > maxDims) {
		c.err = fmt.Errorf("has %d dimensions, 1 to %d are possible", dims, maxDims)
	}
	if c.err != nil {
		return
	}
	t.Shape = make([]int, dims)
	elems := int64(1)
	for i := range t.Shape {
		d := c.u64()
		// A block takes at least a byte for 8 elements, but 2^62 bytes is no file either way.
		if c.err == nil && (d == 0 || d > uint64(math.MaxInt64/16/elems)) {
			c.err = fmt.Errorf("dimension %d of %d elements is impossible", i, d)
		}
		if c.err != nil {
			return
		}
		elems *= int64(d)
		t.Shape[len(t.Shape)-1-i] = int(d)
	}
	id := c.u32()
	typ, known := ggmlTypes[id]
	if c.err == nil && !known {
		c.err = fmt.Errorf("unknown tensor type %d", id)
	}
	if c.err != nil {
		return
	}
	t.Type = typ.Name
	row, err := RowBytes(t.Type, t.Cols())
	if err != nil {
		c.err = err
		return
	}
	t.Size = elems / int64(t.Cols()) * int64(row)
}
