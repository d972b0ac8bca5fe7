package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// MaxHeader is the longest header that is read or written, in bytes; it is the
// limit of the format's own implementation.
const MaxHeader = 100_000_000

// metadataKey is the name that no tensor may have.
const metadataKey = "__metadata__"

// Tensor is one entry of a header.
type Tensor struct {
	Name       string
	DType      DType
	Shape      []int
	begin, end int64 // byte range, counted from the end of the header
}

// Bytes returns the length of the tensor's data.
func (t Tensor) Bytes() int64 { return t.end - t.begin }

// header is a header in memory: what it says, not yet whether it fits a file.
type header struct {
	metadata map[string]string
	tensors  []Tensor
}

// parseHeader reads the N bytes of a header, padding included. Errors name the
// tensor but not the file.
func parseHeader(raw []byte) (header, error) {
	var h header
	if len(raw) == 0 || raw[0] != '{' {
		return h, errors.New(`header does not start with "{"`)
	}
	if !utf8.Valid(raw) {
		return h, errors.New("header is not valid UTF-8")
	}
	raw = bytes.TrimRight(raw, " ") // the padding, of which there can be much
	var discard json.RawMessage
	if err := json.Unmarshal(raw, &discard); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return h, fmt.Errorf("header is not JSON: byte %d: %w", syntax.Offset, err)
		}
		return h, fmt.Errorf("header is not JSON: %w", err)
	}
	s := scanner{text: string(raw)}
	seen := make(map[string]bool)
	err := s.object(func(name string) (err error) {
		if seen[name] {
			return fmt.Errorf("tensor %q occurs twice in the header", name)
		}
		seen[name] = true
		if name == metadataKey {
			if h.metadata, err = scanMetadata(&s); err != nil {
				return fmt.Errorf("%s: %w", metadataKey, err)
			}
			return nil
		}
		t, err := scanTensor(&s)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		t.Name = name
		h.tensors = append(h.tensors, t)
		return nil
	})
	if err != nil {
		return h, err
	}
	if s.at != len(s.text) { // white space to JSON, but not spaces
		return h, errors.New("header is padded with something other than spaces")
	}
	return h, nil
}

// scanMetadata reads an object of strings.
func scanMetadata(s *scanner) (map[string]string, error) {
	metadata := make(map[string]string)
	err := s.object(func(key string) error {
		if _, ok := metadata[key]; ok {
			return fmt.Errorf("key %q occurs twice", key)
		}
		value, err := s.string()
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		metadata[key] = value
		return nil
	})
	return metadata, err
}

// scanTensor reads one tensor's entry and checks it against itself.
func scanTensor(s *scanner) (Tensor, error) {
	var t Tensor
	var offsets []int
	fields := make([]string, 0, 3)
	err := s.object(func(field string) (err error) {
		if slices.Contains(fields, field) {
			return fmt.Errorf("field %q occurs twice", field)
		}
		fields = append(fields, field)
		switch field {
		case "dtype":
			var name string
			name, err = s.string()
			t.DType = DType(name)
		case "shape":
			t.Shape, err = scanSizes(s)
		case "data_offsets":
			offsets, err = scanSizes(s)
		default:
			return fmt.Errorf("unknown field %q; the fields are dtype, shape and data_offsets", field)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	for _, field := range []string{"dtype", "shape", "data_offsets"} {
		if !slices.Contains(fields, field) {
			return t, fmt.Errorf("field %q is missing", field)
		}
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return t, fmt.Errorf("data_offsets %v are not a begin and an end", offsets)
	}
	t.begin, t.end = int64(offsets[0]), int64(offsets[1])
	size, err := byteSize(t.DType, t.Shape)
	if err != nil {
		return t, err
	}
	if t.Bytes() != size {
		return t, fmt.Errorf("data_offsets %v span %d bytes, but shape %v of dtype %s takes %d",
			offsets, t.Bytes(), t.Shape, t.DType, size)
	}
	return t, nil
}

// scanSizes reads an array of whole numbers from 0 up.
func scanSizes(s *scanner) ([]int, error) {
	sizes := make([]int, 0, 4)
	err := s.array(func() error {
		n, err := s.whole()
		if err == nil && n > math.MaxInt {
			err = fmt.Errorf("%d is too large for this machine", n)
		}
		sizes = append(sizes, int(n))
		return err
	})
	return sizes, err
}
