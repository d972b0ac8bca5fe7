package trace

import (
	"fmt"
	"maps"
	"slices"

	"attndiff/traces/safetensors"
	"attndiff/traces/tap"
)

// Reader is an open trace that has been checked. Its methods may be called
// from several goroutines at once, each with buffers of its own; Close
// excepted.
type Reader struct {
	file    *safetensors.File
	meta    Meta
	dims    []tap.Dims // by step
	keys    []tap.Key
	tensors map[tap.Key]safetensors.Tensor
}

// Info describes a recorded tensor. The shape is what was recorded, which need
// not be what the model calls for; the caller must not change it.
type Info struct {
	DType DType
	Shape []int
}

// Open opens the trace at path and checks all of it but the tensors' values:
// the file, the metadata, and every tensor's name and type against them. The
// caller closes it.
func Open(path string) (*Reader, error) {
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := newReader(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: not a usable trace: %w", path, err)
	}
	return r, nil
}

func newReader(file *safetensors.File) (*Reader, error) {
	meta, err := decodeMeta(file.Metadata())
	if err != nil {
		return nil, err
	}
	r := &Reader{
		file:    file,
		meta:    meta,
		dims:    meta.dims(),
		tensors: make(map[tap.Key]safetensors.Tensor, len(file.Tensors())),
	}
	for _, t := range file.Tensors() {
		k, err := tap.ParseKey(t.Name)
		if err != nil {
			return nil, err
		}
		if err := meta.checkKey(k); err != nil {
			return nil, err
		}
		if DType(t.DType).Size() == 0 {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, notADType(DType(t.DType)))
		}
		r.tensors[k] = t
	}
	r.keys = slices.SortedFunc(maps.Keys(r.tensors), tap.Key.Compare)
	return r, nil
}

// Meta returns the trace's metadata. The caller must not change what it refers
// to.
func (r *Reader) Meta() Meta { return r.meta }

// Keys returns what the trace holds, in execution order. The caller must not
// change it.
func (r *Reader) Keys() []tap.Key { return r.keys }

// Info describes the tensor of k; false when the trace does not hold it.
func (r *Reader) Info(k tap.Key) (Info, bool) {
	t, ok := r.tensors[k]
	return Info{DType(t.DType), t.Shape}, ok
}

// Dims returns the sizes that the shapes of a step are made of, by the model's
// hyperparameters and the tokens fed. A step that the trace does not have has
// no tokens.
func (r *Reader) Dims(step int) tap.Dims {
	if step < 0 || step >= len(r.dims) {
		return r.meta.Hparams.Dims()
	}
	return r.dims[step]
}

// Close releases the file. No other method may be called afterwards.
func (r *Reader) Close() error { return r.file.Close() }

// tensor finds k or says that the trace lacks it.
func (r *Reader) tensor(k tap.Key) (safetensors.Tensor, error) {
	t, ok := r.tensors[k]
	if !ok {
		return t, fmt.Errorf("%s: holds no tensor %q", r.file.Path(), k)
	}
	return t, nil
}
