package oracle

import "attndiff/traces/tap"

// Value is one recomputed tap.
type Value struct {
	Shape []int
	Data  []float64 // row-major
	Noise []float64 // variance per element that honest arithmetic may leave
	// Exact is set when bit equality is owed: the caches hold the stored
	// rounding of recorded rows, nothing else.
	Exact    bool
	Inputs   []tap.Key // recordings the value was computed from
	Composed []tap.Tap // taps recomputed on the way because they were not recorded
}

// rows is a tensor seen as a matrix: the leading axes flattened. A nil noise
// means the values are recorded, thus exact as inputs.
type rows struct {
	n, width int
	v        []float64
	noise    []float64
}

// row returns row i.
func (r rows) row(i int) []float64 { return r.v[i*r.width : (i+1)*r.width] }

// noiseAt returns the noise of element i, 0 for recorded values.
func (r rows) noiseAt(i int) float64 {
	if r.noise == nil {
		return 0
	}
	return r.noise[i]
}

// like returns zeroed rows of the same size, with noise.
func (r rows) like() rows { return newRows(r.n, r.width) }

func newRows(n, width int) rows {
	return rows{n: n, width: width, v: make([]float64, n*width), noise: make([]float64, n*width)}
}
