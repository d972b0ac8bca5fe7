package recode

import (
	"attndiff/traces/gguf"
	"attndiff/traces/gguf/writer"
)

// Write writes the model to path with matrices of typ; quantize may be nil for
// one of [writer.Types]. The file appears only when it is complete, and equal
// inputs give equal files.
func Write(path string, from *gguf.File, typ string, quantize writer.Quantizer) error {
	v, err := from.Vocab()
	if err != nil {
		return err
	}
	return writer.WriteFile(path, writer.Model{
		Name: from.Name, Hparams: from.Hparams, ContextLength: from.ContextLength, Type: typ, Tied: from.Output() == gguf.TokenEmbd,
		Vocab: writer.Vocab{Tokens: v.Tokens, Types: v.Types, Merges: []string{v.Tokens[0] + " " + v.Tokens[1]},
			BOS: v.BOS, EOS: v.EOS, Pad: gguf.NoToken},
		Fill:     func(p gguf.Part, first int, dst []float32) error { return fill(from, p, first, dst) },
		Quantize: quantize,
	})
}

// fill reads a stretch of a part's elements, in row-major order.
func fill(f *gguf.File, p gguf.Part, first int, dst []float32) error {
	width := p.Shape[len(p.Shape)-1]
	if !p.Matrix() {
		all, err := f.Float32(p.Name)
		if err == nil {
			copy(dst, all[first:])
		}
		return err
	}
	lo, hi := first/width, (first+len(dst)+width-1)/width
	rows, err := f.Float32Rows(p.Name, lo, hi)
	if err == nil {
		copy(dst, rows[first-lo*width:])
	}
	return err
}
