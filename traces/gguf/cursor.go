package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// cursor reads a file front to back and knows how much of it is left, so that
// a length found in the file is checked before anything is allocated for it.
// The first failure sticks; later reads return zero.
type cursor struct {
	r    *bufio.Reader
	pos  int64
	size int64
	err  error
}

func newCursor(r io.Reader, size int64) *cursor {
	return &cursor{r: bufio.NewReaderSize(r, 1<<16), size: size}
}

// left returns the bytes not read yet.
func (c *cursor) left() int64 { return c.size - c.pos }

// fits reports whether n items of at least each bytes can still follow, and
// fails the cursor when they cannot.
func (c *cursor) fits(n uint64, each int64, what string) bool {
	if c.err == nil && n > uint64(c.left()/each) {
		c.err = fmt.Errorf("%s claims %d, more than the %d bytes after byte %d can hold", what, n, c.left(), c.pos)
	}
	return c.err == nil
}

func (c *cursor) bytes(buf []byte) {
	if c.err == nil && int64(len(buf)) > c.left() {
		c.err = fmt.Errorf("the file ends at byte %d where %d more bytes are called for", c.size, len(buf))
	}
	if c.err == nil {
		_, c.err = io.ReadFull(c.r, buf)
		c.pos += int64(len(buf))
	}
}

func (c *cursor) u32() uint32 {
	var b [4]byte
	c.bytes(b[:])
	if c.err != nil {
		return 0
	}
	return binary.LittleEndian.Uint32(b[:])
}

func (c *cursor) u64() uint64 {
	var b [8]byte
	c.bytes(b[:])
	if c.err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b[:])
}

// name reads a string of at most limit bytes.
func (c *cursor) name(limit int, what string) string {
	n := c.u64()
	if c.err == nil && n > uint64(limit) {
		c.err = fmt.Errorf("%s claims %d bytes, more than the %d allowed", what, n, limit)
	}
	if !c.fits(n, 1, what) {
		return ""
	}
	b := make([]byte, n)
	c.bytes(b)
	return string(b)
}

// skip passes over n items of each bytes.
func (c *cursor) skip(n uint64, each int64, what string) {
	if !c.fits(n, each, what) {
		return
	}
	for todo := int64(n) * each; todo > 0 && c.err == nil; {
		var d int
		d, c.err = c.r.Discard(int(min(todo, 1<<30)))
		c.pos += int64(d)
		todo -= int64(d)
	}
}
