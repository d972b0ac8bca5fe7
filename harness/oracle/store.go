package oracle

import (
	"math"

	"attndiff/traces/half"
)

// Store is the cache's own rounding of x: to f16, round to nearest even, or
// to f32. Mirrors the CPY/SET_ROWS of llama_kv_cache::cpy_k and cpy_v
// (llama-kv-cache.cpp).
func Store(x Rows, kvType string) Rows { return store(x, kvType, nil, usualTurns) }

// turns is how a rounding of a value that is itself uncertain is counted. One
// that lies close to the middle between two stored values may round the other
// way and be off by a whole spacing s. With an uncertainty of standard
// deviation d that happens to a share E|error|/s = sqrt(2/pi) d/s of values, so
// it adds s d sqrt(2/pi) to the variance, and s^2/6 when d is no longer small.
type turns bool

const (
	usualTurns turns = false
	// allTurns has every rounding go the other way that can. Turns are rare:
	// where few are expected, the variance says little of what one of them does.
	allTurns turns = true
)

// noise is what rounding to a spacing s adds to a variance.
func (t turns) noise(variance, s float64) float64 {
	switch {
	case variance == 0:
		return 0
	case t == allTurns:
		return s * s
	}
	return math.Min(s*math.Sqrt(variance*2/math.Pi), s*s/6)
}

// store is Store of what prepare, unless nil, makes of each value.
func store(x Rows, kvType string, prepare func(float64) float64, t turns) Rows {
	y := Rows{N: x.N, Width: x.Width, V: make([]float64, len(x.V))}
	if x.Noise != nil {
		y.Noise = make([]float64, len(x.V))
	}
	for i, v := range x.V {
		if prepare != nil {
			v = prepare(v)
		}
		digits, least := 24, 0x1p-149
		if kvType == "f16" {
			y.V[i] = float64(half.RoundF16(float32(v)))
			digits, least = 11, 0x1p-24
		} else {
			y.V[i] = float64(float32(v))
		}
		if x.Noise != nil {
			_, exponent := math.Frexp(v)
			s := math.Max(math.Ldexp(1, exponent-digits), least)
			y.Noise[i] = x.Noise[i] + t.noise(x.Noise[i], s)
		}
	}
	return y
}
