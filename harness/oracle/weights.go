package oracle

import "attndiff/traces/gguf"

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
