package gguf

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"attndiff/traces/trace"
)

// File is an open model whose every part was checked. Its methods may be
// called from several goroutines.
type File struct {
	Path          string
	Name          string        // general.name, or the file's name without .gguf
	Hparams       trace.Hparams // RopeType "neox"; KVType is the run's, left empty
	ContextLength int           // positions the model was trained for

	file       *os.File
	tensors    map[string]Tensor
	vocab      *Vocab
	dequantize Dequantizer
	digest     func() (string, error)
}

// Option is a choice made on opening.
type Option func(*File)

// WithDequantizer hands in a decoder for the types [Decode] does not know.
func WithDequantizer(d Dequantizer) Option { return func(f *File) { f.dequantize = d } }

// Open opens a qwen2 GGUF file and checks all of it but the weights' values.
// An error is an [*Error].
func Open(path string, opts ...Option) (*File, error) {
	f, e := open(path)
	if e != nil {
		e.Path = path
		return nil, e
	}
	for _, o := range opts {
		o(f)
	}
	return f, nil
}

func open(path string) (_ *File, e *Error) {
	file, size, err := openRegular(path)
	if err != nil {
		return nil, &Error{What: err.Error(), Fix: fixPath, Err: err}
	}
	defer func() {
		if e != nil {
			file.Close()
		}
	}()
	s, e := walk(file, size)
	if e != nil {
		return nil, e
	}
	k, err := readKeys(path, s)
	if err != nil {
		return nil, &Error{Where: "keys", What: err.Error(), Fix: fixCorrupt, Err: err}
	}
	f := &File{Path: path, file: file, tensors: make(map[string]Tensor, len(s.tensors))}
	for _, t := range s.tensors {
		f.tensors[t.Name] = t
	}
	f.digest = sync.OnceValues(f.sha256)
	if e := k.checkArch(); e != nil {
		return nil, e
	}
	if f.Name, e = k.text(keyName); e != nil {
		return nil, e
	}
	f.Name = cmp.Or(f.Name, strings.TrimSuffix(filepath.Base(path), ".gguf"))
	if f.Hparams, f.ContextLength, e = k.hparams(); e != nil {
		return nil, e
	}
	if e := k.checkVariants(f.ContextLength); e != nil {
		return nil, e
	}
	if f.vocab, e = k.vocab(); e != nil {
		return nil, e
	}
	return f, f.checkTensors()
}

// openRegular opens a file for reading and returns its size. It looks before
// it opens: opening a pipe that nobody writes to would hang.
func openRegular(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var file *os.File
	if err == nil {
		file, err = os.Open(path)
	}
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err // the path is said by Error
		}
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// checkTensors holds the tensors against the list that the hyperparameters
// call for.
func (f *File) checkTensors() *Error {
	h := f.Hparams
	if embd, ok := f.tensors[TokenEmbd]; ok && len(embd.Shape) == 2 && embd.Rows() != h.NVocab {
		return &Error{Where: atTensor(TokenEmbd), Fix: fixConvert,
			What: fmt.Sprintf("has %d rows, but %s has %d entries", embd.Rows(), keyTokens, h.NVocab)}
	}
	parts := Parts(h, f.Output() == TokenEmbd)
	extra := maps.Clone(f.tensors)
	for _, p := range parts {
		t, ok := f.tensors[p.Name]
		if !ok {
			return &Error{Where: atTensor(p.Name), Fix: fixConvert,
				What: fmt.Sprintf("is missing; a qwen2 model of %d layers has %d tensors, the file %d", h.NLayer, len(parts), len(f.tensors))}
		}
		if !slices.Equal(t.Shape, p.Shape) {
			return &Error{Where: atTensor(p.Name), Fix: fixConvert,
				What: fmt.Sprintf("shape %v, but the hyperparameters call for %s = %v", t.Shape, p.Sizes, p.Shape)}
		}
		delete(extra, p.Name)
	}
	if len(extra) > 0 {
		name := slices.Min(slices.Collect(maps.Keys(extra)))
		return &Error{Where: atTensor(name), Fix: fixOther,
			What: fmt.Sprintf("is not part of a qwen2 model of %d layers", h.NLayer)}
	}
	return nil
}

// Output names the matrix that makes logits: output.weight, or
// token_embd.weight where the two are tied.
func (f *File) Output() string {
	if _, ok := f.tensors[OutputProj]; ok {
		return OutputProj
	}
	return TokenEmbd
}

// WeightTypes names the types of the matrices, the largest share of bytes
// first: "F16", "Q4_K+Q6_K". Norms and biases do not count.
func (f *File) WeightTypes() string {
	bytes := map[string]int64{}
	for _, t := range f.tensors {
		if len(t.Shape) > 1 {
			bytes[t.Type] += t.Size
		}
	}
	types := slices.SortedFunc(maps.Keys(bytes), func(a, b string) int {
		return cmp.Or(cmp.Compare(bytes[b], bytes[a]), cmp.Compare(a, b))
	})
	return strings.Join(types, "+")
}

// SHA256 returns the file's digest in hexadecimal. The first call reads the
// whole file, later ones do not.
func (f *File) SHA256() (string, error) { return f.digest() }

func (f *File) sha256() (string, error) {
	info, err := f.file.Stat()
	h := sha256.New()
	if err == nil {
		_, err = io.CopyBuffer(h, io.NewSectionReader(f.file, 0, info.Size()), make([]byte, chunkBytes))
	}
	if err != nil {
		return "", &Error{Path: f.Path, What: "cannot be read: " + err.Error(), Fix: fixCorrupt, Err: err}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Close closes the file; tensors can no longer be read.
func (f *File) Close() error { return f.file.Close() }
