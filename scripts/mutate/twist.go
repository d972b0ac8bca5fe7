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

// tilted makes queries 1024 times smaller and keys as much larger: scores are what
// they were, and what an f16 leaves of a query that is not lifted is not enough.
func tilted(m writer.Model, p gguf.Part, first int, dst []float32) error {
	err := m.Fill(p, first, dst)
	for i := range dst {
		switch {
		case strings.Contains(p.Name, "attn_q."):
			dst[i] /= 1024
		case strings.Contains(p.Name, "attn_k."):
			dst[i] *= 1024
		}
	}
	return err
}

// faint makes the queries of every third head smaller than the smallest that
// fused.cuh lifts, of the next one too small for an f16 to hold, and leaves those
// of the one after: with three heads to a KV head a warp has rows of all sizes.
func faint(m writer.Model, p gguf.Part, first int, dst []float32) error {
	err := m.Fill(p, first, dst)
	if !strings.Contains(p.Name, "attn_q.") {
		return err
	}
	for i := range dst {
		switch row(p, first+i) / m.Hparams.HeadDim % 3 {
		case 0:
			dst[i] *= 0x1p-120
		case 1:
			dst[i] *= 0x1p-60
		}
	}
	return err
}

// none is no element of a head.
const none = -1

// spiky makes one element of each query head 64 times what it was, so that the
// row's largest magnitude is there and nowhere near it elsewhere. Heads take the
// places in turn.
func spiky(places ...int) twist {
	return func(m writer.Model, p gguf.Part, first int, dst []float32) error {
		err := m.Fill(p, first, dst)
		if !strings.Contains(p.Name, "attn_q.") {
			return err
		}
		for i := range dst {
			r, size := row(p, first+i), m.Hparams.HeadDim
			if r%size == places[r/size%len(places)] {
				dst[i] *= 64
			}
		}
		return err
	}
}

// endless makes the last two elements of the keys of the vocabulary's upper half
// too large for an f16: -Inf in one KV head and Inf in the next, for queries
// whose elements there have the other sign, so that all their scores are -Inf
// and their weights 0. Those elements are powers of two in every other query
// head, which an f16 holds with nothing left over. It takes a RoPE base so large
// that it does not turn them.
func endless(m writer.Model, p gguf.Part, first int, dst []float32) error {
	const told = 20 // what tells the halves apart, in the first channel
	if err := m.Fill(p, first, dst); err != nil {
		return err
	}
	hp := m.Hparams
	for i := range dst {
		r, col := row(p, first+i), (first+i)%p.Shape[len(p.Shape)-1]
		head, last := r/hp.HeadDim, r%hp.HeadDim >= hp.HeadDim-2
		bias := strings.HasSuffix(p.Name, ".bias")
		switch {
		case p.Name == gguf.TokenEmbd && col == 0:
			dst[i] = told
			if r < hp.NVocab/2 {
				dst[i] = -told
			}
		case strings.HasSuffix(p.Name, "attn_norm.weight") && first+i == 0:
			dst[i] = 1
		case last && strings.Contains(p.Name, "attn_k."):
			// The norm leaves of told almost all of the row's size, sqrt(E).
			dst[i] = 0
			if bias {
				dst[i] = -70000
			} else if col == 0 {
				dst[i] = -60000 / float32(math.Sqrt(float64(hp.NEmbd)))
			}
			if head%2 == 1 {
				dst[i] = -dst[i]
			}
		case last && strings.Contains(p.Name, "attn_q."):
			dst[i] = 0
			if bias {
				dst[i] = []float32{0x1p-12, 0x1.6p-12 / 3}[head%2] // 1 once lifted, in most rows of the first head
			}
			if head/(hp.NHead/hp.NHeadKV)%2 == 1 {
				dst[i] = -dst[i]
			}
		}
	}
	return nil
}

// row is the row of a matrix, or the element of a vector, that a flat index is
// in.
func row(p gguf.Part, i int) int {
	if len(p.Shape) == 1 {
		return i
	}
	return i / p.Shape[1]
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
			if row(p, first+i) == p.Shape[0]-1 {
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
		col := first % width
		n := min(width-col, len(dst))
		if err := m.Fill(p, choose(row(p, first))*width+col, dst[:n]); err != nil {
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
