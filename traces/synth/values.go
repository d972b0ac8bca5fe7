package synth

import (
	"math"
	"strings"

	"attndiff/traces/gguf"
)

// Standard deviations and sizes; see fill.
const (
	embdGain   = 3    // of a logit, in units of one normed channel
	qkBiasDev  = 1    // of Q and K biases
	vBiasDev   = 0.25 // of V biases
	normDev    = 0.1  // of norm weights around 1
	largeNorm  = 8    // factor on one norm weight in normEvery
	normEvery  = 64
	slowBias   = 40 // least magnitude of layer 0's K biases on slow dimensions
	slowSpread = 20 // on top of it
)

// fill sets dst to a part's elements from first on.
//
// A matrix has deviation 1/sqrt(in), so that it passes a normed input on at
// its size; the ones that make or read logits are larger by embdGain, so
// that a distribution over the vocabulary has a peak. float32() around every
// product keeps a compiler from fusing it with the addition after it, which
// would round differently from machine to machine.
func (s Spec) fill(p gguf.Part, first int, dst []float32) error {
	r := newRandom(s.Seed, p.Name)
	switch {
	case p.Matrix():
		gain := 1.0
		if p.Name == gguf.TokenEmbd || p.Name == gguf.OutputProj {
			gain = embdGain
		}
		scale := unit(gain / math.Sqrt(float64(p.Shape[1])))
		for i := range dst {
			dst[i] = float32(r.bell(first+i)) * scale
		}
	case strings.HasSuffix(p.Name, ".bias"):
		for i := range dst {
			dst[i] = s.bias(p.Name, r, first+i)
		}
	default:
		scale := unit(normDev)
		for i := range dst {
			dst[i] = 1 + float32(float32(r.bell(first+i))*scale)
			if r.bits(first+i)%normEvery == 0 {
				dst[i] *= largeNorm
			}
		}
	}
	return nil
}

// bias returns one element of a bias vector.
func (s Spec) bias(name string, r random, i int) float32 {
	switch {
	case s.ZeroBiases:
		return 0
	case strings.HasSuffix(name, "attn_v.bias"):
		return float32(r.bell(i)) * unit(vBiasDev)
	case name == gguf.LayerName(0, "attn_k.bias") && s.slow(i):
		// 16 of the random bits as a fraction of slowSpread, and a sign.
		b := r.bits(i)
		v := slowBias + float32(float32(b&0xffff)*(slowSpread/65536.0))
		if b>>63 == 1 {
			v = -v
		}
		return v
	}
	return float32(r.bell(i)) * unit(qkBiasDev)
}

// slow reports whether element i of a K bias is on one of the two RoPE pairs
// that turn slowest. NEOX pairs are (j, j+D/2) and turn by base^(-2j/D).
func (s Spec) slow(i int) bool {
	half := s.Embd / s.Heads / 2
	return i%half >= half-2
}
