package safetensors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

const (
	// roomPerTensor and roomForMetadata are what Create leaves for the header,
	// in bytes. An entry with a name of 24 bytes, three sizes and offsets of
	// twelve digits takes about 120.
	roomPerTensor   = 128
	roomForMetadata = 8 << 10

	// maxRoom keeps a careless hint from making every file large.
	maxRoom = 16 << 20

	// dataAlign is the boundary, in bytes, that data start on.
	dataAlign = 8

	// bufferBytes gathers small tensors into writes that are worth a system
	// call; larger ones pass by it.
	bufferBytes = 1 << 20
)

// entry is a tensor's entry in the header, as JSON has it.
type entry struct {
	DType   DType    `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// Writer writes one file. It is for one goroutine. After an error only Abort
// is of use; Close then reports the error again and aborts by itself.
type Writer struct {
	path    string
	file    *os.File // the temporary file
	buf     *bufio.Writer
	room    int64  // bytes left for the header
	entries []byte // the tensors' part of the header, each entry with a comma before it
	names   map[string]bool
	end     int64 // bytes of data so far
	err     error // the first error, kept: a file with a hole must not be finished
}

// Create starts a file that will have the name path once Close succeeds; an
// older file of that name stays until then. tensors is how many the caller
// expects, a hint: more are allowed and cost a copy of the data.
func Create(path string, tensors int) (*Writer, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file; name a file to write", path)
	}
	file, err := createBeside(path)
	if err != nil {
		return nil, err
	}
	tensors = min(max(tensors, 0), (maxRoom-roomForMetadata)/roomPerTensor)
	w := &Writer{
		path:  path,
		file:  file,
		buf:   bufio.NewWriterSize(file, bufferBytes),
		room:  int64(roomForMetadata + tensors*roomPerTensor),
		names: make(map[string]bool, tensors),
	}
	if _, err := file.Seek(lengthBytes+w.room, io.SeekStart); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// Add writes one tensor. data is row-major and little-endian, its length what
// type and shape call for; it may be reused afterwards.
func (w *Writer) Add(name string, d DType, shape []int, data []byte) error {
	if w.err == nil {
		w.err = w.add(name, d, shape, data)
	}
	return w.err
}

func (w *Writer) add(name string, d DType, shape []int, data []byte) error {
	fail := func(err error) error { return fmt.Errorf("%s: tensor %q: %w", w.path, name, err) }
	switch {
	case w.file == nil:
		return fail(os.ErrClosed)
	case name == metadataKey:
		return fail(errors.New("the format keeps this name for itself"))
	case !utf8.ValidString(name):
		return fail(errors.New("name is not valid UTF-8"))
	case w.names[name]:
		return fail(errors.New("written twice"))
	}
	size, err := byteSize(d, shape)
	if err != nil {
		return fail(err)
	}
	if int64(len(data)) != size {
		return fail(fmt.Errorf("%d bytes of data, but shape %v of dtype %s takes %d", len(data), shape, d, size))
	}
	if w.end > maxBytes-size {
		return fail(errors.New("data exceed what a file can hold"))
	}
	if shape == nil {
		shape = []int{} // a scalar's shape is [], not null
	}
	object, err := json.Marshal(map[string]entry{name: {d, shape, [2]int64{w.end, w.end + size}}})
	if err != nil {
		return fail(err)
	}
	w.entries = append(w.entries, ',')
	w.entries = append(w.entries, object[1:len(object)-1]...) // without its braces
	if len(w.entries) > MaxHeader {
		return fail(fmt.Errorf("header exceeds the limit of %d bytes; write fewer tensors", MaxHeader))
	}
	if _, err := w.buf.Write(data); err != nil {
		return fail(err)
	}
	w.names[name] = true
	w.end += size
	return nil
}

// Close writes the header and gives the file its name. When it fails nothing
// is left behind, and an older file of that name is as it was.
func (w *Writer) Close(metadata map[string]string) error {
	if w.err == nil && w.file == nil {
		w.err = fmt.Errorf("%s: %w", w.path, os.ErrClosed)
	}
	if w.err == nil {
		w.err = w.finish(metadata)
	}
	if w.err == nil {
		return nil
	}
	if err := w.Abort(); err != nil {
		return fmt.Errorf("%w; a temporary file is left behind: %w", w.err, err)
	}
	return w.err
}

func (w *Writer) finish(metadata map[string]string) error {
	fail := func(err error) error { return fmt.Errorf("%s: %w", w.path, err) }
	text, err := w.header(metadata)
	if err != nil {
		return fail(err)
	}
	if err := w.buf.Flush(); err != nil {
		return fail(err)
	}
	if int64(len(text)) > w.room {
		if err := w.moveData(roundUp(int64(len(text)))); err != nil {
			return fail(err)
		}
	}
	if err := w.writeHeader(text); err != nil {
		return fail(err)
	}
	if err := w.file.Close(); err != nil {
		return fail(err)
	}
	if err := os.Rename(w.file.Name(), w.path); err != nil {
		return err // names both paths
	}
	w.file = nil
	return nil
}

// header joins metadata and entries into the header's JSON. Keys come out
// sorted, so that the same content makes the same bytes.
func (w *Writer) header(metadata map[string]string) ([]byte, error) {
	size := len(w.entries)
	for key, value := range metadata {
		if size += len(key) + len(value); size > MaxHeader {
			return nil, fmt.Errorf("metadata %q takes the header past the limit of %d bytes", key, MaxHeader)
		}
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, fmt.Errorf("metadata %q is not valid UTF-8", key)
		}
	}
	body := w.entries
	if len(metadata) > 0 {
		object, err := json.Marshal(metadata)
		if err != nil {
			return nil, err
		}
		body = append([]byte(`,"`+metadataKey+`":`), object...)
		body = append(body, w.entries...)
	}
	text := []byte{'{'}
	if len(body) > 0 {
		text = append(text, body[1:]...) // without the first comma
	}
	text = append(text, '}')
	if roundUp(int64(len(text))) > MaxHeader {
		return nil, fmt.Errorf("header of %d bytes exceeds the limit of %d; write fewer tensors or less metadata", len(text), MaxHeader)
	}
	return text, nil
}

// writeHeader writes the length and the header in the room left for them.
func (w *Writer) writeHeader(text []byte) error {
	padded := binary.LittleEndian.AppendUint64(nil, uint64(w.room))
	padded = append(padded, text...)
	padded = append(padded, bytes.Repeat([]byte{' '}, int(w.room)-len(text))...)
	_, err := w.file.WriteAt(padded, 0)
	return err
}

// moveData copies the data into a second temporary file that has more room for
// the header, and goes on with that one.
func (w *Writer) moveData(room int64) error {
	wider, err := createBeside(w.path)
	if err != nil {
		return err
	}
	narrow, old := w.file, w.room
	w.file, w.room = wider, room
	defer discard(narrow)
	if _, err := narrow.Seek(lengthBytes+old, io.SeekStart); err != nil {
		return err
	}
	if _, err := wider.Seek(lengthBytes+room, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(wider, narrow)
	return err
}

// Abort gives the file up and removes what was written. After Close it does
// nothing, so that it can be deferred.
func (w *Writer) Abort() error {
	if w.file == nil {
		return nil
	}
	err := discard(w.file)
	w.file = nil
	return err
}

// roundUp returns the next header length that keeps data aligned.
func roundUp(n int64) int64 { return (n + dataAlign - 1) / dataAlign * dataAlign }
