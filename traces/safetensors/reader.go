package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// lengthBytes is the size of N, the field in front of the header.
const lengthBytes = 8

// File is an open safetensors file whose header has been checked. Its methods
// may be called from several goroutines at once, Close excepted.
type File struct {
	path     string
	data     io.ReaderAt
	start    int64 // where the data begin, in bytes from the start of the file
	metadata map[string]string
	tensors  []Tensor
	close    func() error
}

// Open reads and checks the header of the file at path. The caller closes the
// file.
func Open(path string) (*File, error) {
	// Asked before opening: opening a pipe that nobody writes to would hang.
	info, err := os.Stat(path)
	if err != nil {
		return nil, unopened(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file; safetensors are read out of order, so pipes and folders do not do", path)
	}
	disk, err := os.Open(path)
	if err != nil {
		return nil, unopened(path, err)
	}
	f, err := read(path, disk, info.Size())
	if err != nil {
		disk.Close()
		return nil, err
	}
	f.close = disk.Close
	return f, nil
}

// unopened says that a file cannot be opened, without the name of the call.
func unopened(path string, err error) error {
	var call *os.PathError
	if errors.As(err, &call) {
		err = call.Err
	}
	return fmt.Errorf("%s: cannot be opened: %w; check the path", path, err)
}

// read checks the header of size bytes of data; path is for messages.
func read(path string, data io.ReaderAt, size int64) (*File, error) {
	bad := func(err error) (*File, error) {
		return nil, fmt.Errorf("%s: not a usable safetensors file: %w", path, err)
	}
	if size < lengthBytes {
		return bad(fmt.Errorf("%d bytes long, too short for a header", size))
	}
	var length [lengthBytes]byte
	if err := readFull(data, length[:], 0); err != nil {
		return bad(err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > MaxHeader {
		return bad(fmt.Errorf("header of %d bytes exceeds the limit of %d; is this another kind of file?", n, MaxHeader))
	}
	start := lengthBytes + int64(n)
	if start > size {
		return bad(fmt.Errorf("header of %d bytes runs past the end of the file at %d; the file is truncated", n, size))
	}
	raw := make([]byte, n)
	if err := readFull(data, raw, lengthBytes); err != nil {
		return bad(err)
	}
	h, err := parseHeader(raw)
	if err != nil {
		return bad(err)
	}
	if err := checkCover(h.tensors, size-start); err != nil {
		return bad(err)
	}
	return &File{path: path, data: data, start: start, metadata: h.metadata, tensors: h.tensors}, nil
}

// checkCover sorts the tensors by their place in the data and checks that they
// cover all size bytes, each byte once.
func checkCover(tensors []Tensor, size int64) error {
	slices.SortStableFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	covered, last := int64(0), "the header"
	for _, t := range tensors {
		switch {
		case t.end > size:
			return fmt.Errorf("tensor %q: data_offsets [%d %d] run past the end of the data at %d; the file is truncated",
				t.Name, t.begin, t.end, size)
		case t.begin < covered:
			return fmt.Errorf("tensor %q: data_offsets [%d %d] overlap those of %s", t.Name, t.begin, t.end, last)
		case t.begin > covered:
			return fmt.Errorf("tensor %q: a gap of %d bytes separates its data from %s", t.Name, t.begin-covered, last)
		}
		covered, last = t.end, fmt.Sprintf("tensor %q", t.Name)
	}
	if covered < size {
		return fmt.Errorf("%d bytes follow %s and belong to no tensor", size-covered, last)
	}
	return nil
}

// Path returns the name the file was opened by.
func (f *File) Path() string { return f.path }

// Metadata returns the file's metadata, nil when it has none. The caller must
// not change it.
func (f *File) Metadata() map[string]string { return f.metadata }

// Tensors returns the file's tensors in the order of their data. The caller
// must not change them.
func (f *File) Tensors() []Tensor { return f.tensors }

// ReadAt fills p with a tensor's data from byte offset off on. A range outside
// the tensor is an error, as is a file that has become shorter since Open.
func (f *File) ReadAt(t Tensor, p []byte, off int64) error {
	if off < 0 || off > t.Bytes()-int64(len(p)) {
		return fmt.Errorf("%s: tensor %q: bytes %d to %d asked for of %d", f.path, t.Name, off, off+int64(len(p)), t.Bytes())
	}
	if err := readFull(f.data, p, f.start+t.begin+off); err != nil {
		return fmt.Errorf("%s: tensor %q: %w", f.path, t.Name, err)
	}
	return nil
}

// readFull fills p or says why not.
func readFull(data io.ReaderAt, p []byte, off int64) error {
	n, err := data.ReadAt(p, off)
	switch {
	case n == len(p): // io.ReaderAt may report the end of the file along with the last bytes
		return nil
	case errors.Is(err, io.EOF):
		return errors.New("the file became shorter while it was read")
	}
	return err
}

// Close releases the file. No other method may be called afterwards.
func (f *File) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}
