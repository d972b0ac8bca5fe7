package main

import (
	"math"
	"strings"

	"attndiff/traces/gguf"
	"attndiff/traces/gguf/writer"
)

// twist changes values of a synthetic model on their way to the file.
type twist func(m writer.Model, p gguf.Part, first int, dst []float32) error

// loud makes raw scores so large, of either sign, that exp is 0 or Inf in f32
// where the largest score of a row is not subtracted first.
func loud(m writer.Model, p gguf.Part, first int, dst []float32) error {
	err := m.Fill(p, first, dst)
	if strings.HasSuffix(p.Name, "attn_k.bias") || strings.HasSuffix(p.Name, "attn_q.bias") {
		for i := range dst {
			dst[i] *= 20
		}
	}
	return err
}

// equal repeats a few rows of the embedding, neighbours among them, so that each
// logit is there many times and the lowest index is to be chosen.
func equal(m writer.Model, p gguf.Part, first int, dst []float32) error {
	const different = 7
	return byRow(m, p, gguf.TokenEmbd, first, dst, func(row int) int { return (row + 1) / 2 % different })
}

// lone has two logits, that of the last token half of all others': negative, it
// is the largest.
func lone(m writer.Model, p gguf.Part, first int, dst []float32) error {
	err := byRow(m, p, gguf.OutputProj, first, dst, func(int) int { return 0 })
	if p.Name == gguf.OutputProj {
		for i := range dst {
			if (first+i)/p.Shape[1] == p.Shape[0]-1 {
				dst[i] /= 2
			}
		}
	}
	return err
}

// byRow fills a matrix with rows of its own, which one as choose says. Other
// parts stay as they are.
func byRow(m writer.Model, p gguf.Part, name string, first int, dst []float32, choose func(row int) int) error {
	if p.Name != name {
		return m.Fill(p, first, dst)
	}
	width := p.Shape[1]
	for len(dst) > 0 {
		row, col := first/width, first%width
		n := min(width-col, len(dst))
		if err := m.Fill(p, choose(row)*width+col, dst[:n]); err != nil {
			return err
		}
		first, dst = first+n, dst[n:]
	}
	return nil
}

// overflow makes the last norm's rows Inf and the logits NaN, so that there is
// none to choose.
func overflow(m writer.Model, p gguf.Part, first int, dst []float32) error {
	err := m.Fill(p, first, dst)
	if p.Name == gguf.OutputNorm {
		for i := range dst {
			dst[i] = math.MaxFloat32
		}
	}
	return err
}
