package oracle

import "attndiff/traces/tap"

// Value is one recomputed tap.
type Value struct {
	Shape []int
	Data  []float64 // row-major
	Noise []float64 // variance per element that honest arithmetic may leave; +Inf where anything is right ([Open])
	// Exact is set when bit equality is owed: the caches hold the stored
	// rounding of recorded rows, nothing else.
	Exact    bool
	Inputs   []tap.Key // recordings the value was computed from
	Composed []tap.Tap // taps recomputed on the way because they were not recorded
}

// Rows is a tensor seen as a matrix: N rows of its last axis, the leading axes
// flattened. A nil Noise means the values are recorded, thus exact as inputs.
type Rows struct {
	N, Width int
	V        []float64
	Noise    []float64
}

// NewRows returns n zeroed rows with zero noise.
func NewRows(n, width int) Rows {
	return Rows{N: n, Width: width, V: make([]float64, n*width), Noise: make([]float64, n*width)}
}

// Row returns row i, not a copy.
func (r Rows) Row(i int) []float64 { return r.V[i*r.Width : (i+1)*r.Width] }

// noiseAt returns the noise of element i, 0 for recorded values.
func (r Rows) noiseAt(i int) float64 {
	if r.Noise == nil {
		return 0
	}
	return r.Noise[i]
}

// like returns zeroed rows of the same size, with noise.
func (r Rows) like() Rows { return NewRows(r.N, r.Width) }
