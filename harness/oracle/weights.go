package oracle

import (
	"fmt"
	"sync"

	"attndiff/traces/gguf"
)

// Weights are a model's tensors as the oracle reads them, by GGUF name.
type Weights interface {
	// Shape returns a tensor's row-major shape ([out,in] for a matrix).
	Shape(name string) (shape []int, ok bool)
	// Type returns its element type as ggml spells it ("F16", "Q8_0"), "" when
	// there is no such tensor.
	Type(name string) string
	// Rows returns rows lo to hi of a matrix, or of a vector the elements,
	// dequantised.
	Rows(name string, lo, hi int) ([]float32, error)
}

// GGUF serves a model file's tensors as the oracle's weights.
func GGUF(f *gguf.File) Weights { return fileWeights{f} }

type fileWeights struct{ file *gguf.File }

func (w fileWeights) Shape(name string) ([]int, bool) {
	t, ok := w.file.Tensor(name)
	return t.Shape, ok
}

func (w fileWeights) Type(name string) string {
	t, ok := w.file.Tensor(name)
	if !ok {
		return ""
	}
	return t.Type
}

func (w fileWeights) Rows(name string, lo, hi int) ([]float32, error) {
	if t, ok := w.file.Tensor(name); ok && len(t.Shape) == 1 {
		v, err := w.file.Float32(name)
		if err != nil {
			return nil, err
		}
		return v[lo:hi], nil
	}
	return w.file.Float32Rows(name, lo, hi)
}

// vectors holds the norm weights and biases read so far, in float64.
type vectors struct {
	weights Weights
	mu      sync.Mutex
	held    map[string][]float64
}

// vector returns a norm weight or bias, or nil when the model has none.
func (o *Oracle) vector(name string) ([]float64, error) { return o.vectors.get(name) }

func (c *vectors) get(name string) ([]float64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.held[name]; ok {
		return v, nil
	}
	shape, ok := c.weights.Shape(name)
	if !ok {
		return nil, nil
	}
	if len(shape) != 1 {
		return nil, fmt.Errorf("model: tensor %s: shape %v, want a vector", name, shape)
	}
	f, err := c.weights.Rows(name, 0, shape[0])
	if err != nil {
		return nil, err
	}
	v := make([]float64, len(f))
	for i, x := range f {
		v[i] = float64(x)
	}
	c.held[name] = v
	return v, nil
}
