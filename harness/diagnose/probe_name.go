package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
)

// factorTolerance is how close a fitted factor must come to a constant to be
// called by its name. A sum of n products of f32 values pins a factor down to a
// few f32 roundings, of f16 ones (the cache) to half an f16 rounding.
const factorTolerance = oracle.UnitF16 / 2

// constantName says what a factor is in terms of the model's sizes, "" when
// nothing recognisable.
func (p *probe) constantName(c float64) string {
	d := p.dims
	D, E, H, G := float64(d.D), float64(d.E), float64(d.H), float64(d.G)
	names := []struct {
		v    float64
		text string
	}{
		{-1, "the sign is turned"}, {1 / math.Sqrt(D), "1/sqrt(head_dim)"}, {math.Sqrt(D), "sqrt(head_dim)"},
		{1 / D, "1/head_dim"}, {D, "head_dim"}, {1 / math.Sqrt(E), "1/sqrt(n_embd)"}, {math.Sqrt(E), "sqrt(n_embd)"},
		{1 / E, "1/n_embd"}, {E, "n_embd"}, {math.Log2E, "log2(e): base 2 for base e"}, {math.Ln2, "ln 2: base e for base 2"},
		{math.Log2E / math.Sqrt(D), "log2(e)/sqrt(head_dim)"},
		{2, "twice: added or applied two times"}, {0.5, "half"},
		{H / G, "query heads per KV head"}, {G / H, "1/(query heads per KV head)"}, {H, "the number of query heads"},
		{1 / H, "1/(number of query heads)"}, {math.Sqrt(E / D), "sqrt(n_embd/head_dim)"}, {math.Sqrt(D / E), "sqrt(head_dim/n_embd)"},
		{1 / math.Sqrt(2), "1/sqrt(2)"}, {math.Sqrt2, "sqrt(2)"}, {float64(p.layers), "the number of layers"},
	}
	for _, n := range names {
		if finite(n.v) && n.v != 0 && n.v != 1 && math.Abs(c/n.v-1) < factorTolerance {
			return n.text
		}
	}
	for _, threads := range []float64{32, 64, 128, 256, 512, 1024} {
		if math.Abs(c/math.Sqrt(threads/E)-1) < factorTolerance {
			return fmt.Sprintf("sqrt(%g/%g): a mean over %g threads for one over n_embd", threads, E, threads)
		}
	}
	if k := math.Round(math.Log2(math.Abs(c))); c > 0 && math.Abs(k) > 1 && math.Abs(c/math.Exp2(k)-1) < factorTolerance {
		return fmt.Sprintf("2^%g", k)
	}
	return ""
}

// storing is the relative variance of rounding a value once more on its way into
// the recording: to f32, and to f16 where it is a cache of that type.
func (x *exhibit) storing() float64 {
	if x.cache() && x.half() {
		return oracle.RoundingNMSE(oracle.UnitF16)
	}
	return f32Rounding
}

// half reports whether every oracle value is an f16 one, as in an f16 cache.
func (x *exhibit) half() bool {
	for _, y := range x.want {
		if finite(y) && !representable(y, f16Type) {
			return false
		}
	}
	return true
}
