package trace

import (
	"fmt"

	"attndiff/traces/safetensors"
	"attndiff/traces/tap"
)

// Writer is a [Sink] that writes a trace file, one tensor after the other. It
// is for one goroutine.
type Writer struct {
	path string
	file *safetensors.Writer
	keys map[tap.Key]bool
}

// Create starts a trace that will have the name path once Close succeeds. hint
// is the number of tensors expected; a wrong one costs time, not correctness.
// The caller calls Close or Abort; after an error, Abort.
func Create(path string, hint int) (*Writer, error) {
	file, err := safetensors.Create(path, hint)
	if err != nil {
		return nil, err
	}
	return &Writer{path: path, file: file, keys: make(map[tap.Key]bool)}, nil
}

// Wants is true for every key; see [Filter] for choosing some.
func (w *Writer) Wants(tap.Key) bool { return true }

// Put writes one tensor. It refuses an element type that is not the
// contract's, data whose length is not what type and shape call for, and a key
// that was written before. The shape need not be the tap's.
func (w *Writer) Put(k tap.Key, dt DType, shape []int, raw []byte) error {
	name := k.String()
	if again, err := tap.ParseKey(name); err != nil || again != k {
		return fmt.Errorf("%s: key %+v cannot be named in a trace; steps go up to %d and a layer belongs to taps that have one",
			w.path, k, maxSteps-1)
	}
	if dt.Size() == 0 {
		return fmt.Errorf("%s: tensor %q: %w", w.path, name, notADType(dt))
	}
	if err := w.file.Add(name, safetensors.DType(dt), shape, raw); err != nil {
		return err
	}
	w.keys[k] = true
	return nil
}

// Close writes the metadata and gives the file its name. It refuses metadata
// that contradict themselves or the tensors written, so that what it leaves
// can be opened; when it fails it leaves nothing.
func (w *Writer) Close(m Meta) error {
	metadata, err := w.metadata(m)
	if err != nil {
		err = fmt.Errorf("%s: %w", w.path, err)
		if left := w.Abort(); left != nil {
			return fmt.Errorf("%w; a temporary file is left behind: %w", err, left)
		}
		return err
	}
	return w.file.Close(metadata)
}

func (w *Writer) metadata(m Meta) (map[string]string, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	for k := range w.keys {
		if err := m.checkKey(k); err != nil {
			return nil, err
		}
	}
	return m.encode()
}

// Abort gives the trace up and removes what was written. After Close it does
// nothing, so that it can be deferred.
func (w *Writer) Abort() error { return w.file.Abort() }

// notADType says which types a trace holds.
func notADType(dt DType) error {
	return fmt.Errorf("dtype %s is not one a trace may hold; those are F32, F16, BF16 and F64", string(dt))
}
