package writer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ollama/ollama/fs/ggml"

	"attndiff/traces/gguf"
)

// WriteFile writes a model. The file appears under its name only when it is
// complete.
func WriteFile(path string, m Model) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return fmt.Errorf("write %s: %w; choose a folder that can be written to", path, cause(err))
	}
	err = m.writeTo(f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, cause(err))
	}
	return nil
}

// cause drops the name of the temporary file from an error.
func cause(err error) error {
	var pe *fs.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		return pe.Err
	case errors.As(err, &le):
		return le.Err
	}
	return err
}

// writeTo hands the model to fs/ggml, which writes keys and tensor list in a
// sorted order and then all tensors at once, each at its own offset, on as
// many threads as there are.
func (m Model) writeTo(f *os.File) error {
	var tensors []*ggml.Tensor
	for _, p := range gguf.Parts(m.Hparams, m.Tied) {
		typ := m.typeOf(p)
		kind, err := gguf.TypeID(typ)
		if err != nil {
			return err
		}
		shape := make([]uint64, len(p.Shape)) // GGUF's order is the other way round
		for i, n := range p.Shape {
			shape[len(shape)-1-i] = uint64(n)
		}
		tensors = append(tensors, &ggml.Tensor{Name: p.Name, Kind: kind, Shape: shape,
			WriterTo: stream{part: p, typ: typ, fill: m.Fill, quantize: m.Quantize}})
	}
	return ggml.WriteGGUF(f, m.keys(), tensors)
}

// stream yields one part's bytes a chunk at a time.
type stream struct {
	part     gguf.Part
	typ      string
	fill     func(gguf.Part, int, []float32) error
	quantize Quantizer
}

// chunkElems bounds the elements held per tensor in flight. Blocks divide it,
// so a chunk need not be whole rows.
const chunkElems = 1 << 16

// WriteTo encodes the part's values to w.
func (s stream) WriteTo(w io.Writer) (written int64, err error) {
	total := 1
	for _, n := range s.part.Shape {
		total *= n
	}
	values := make([]float32, min(total, chunkElems))
	raw := make([]byte, 0, 4*len(values))
	for first := 0; first < total; first += len(values) {
		values = values[:min(len(values), total-first)]
		if err = s.fill(s.part, first, values); err == nil {
			raw, err = encode(raw[:0], s.typ, values, s.quantize)
		}
		if err != nil {
			return written, fmt.Errorf("tensor %s from element %d on: %w", s.part.Name, first, err)
		}
		n, err := w.Write(raw)
		if written += int64(n); err != nil {
			return written, err
		}
	}
	return written, nil
}
