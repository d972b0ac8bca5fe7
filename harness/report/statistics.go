package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Statistics describe the values of one tensor. Those of finite values only
// are NaN when there are none.
type Statistics struct {
	Elements  int      `json:"elements"`
	NaN       int      `json:"nan"`
	Inf       int      `json:"inf"`
	Zero      int      `json:"zero"`
	Min       Number   `json:"min"`
	Max       Number   `json:"max"`
	Mean      Number   `json:"mean"`
	RMS       Number   `json:"rms"`       // sqrt(mean of squares)
	Quantiles []Number `json:"quantiles"` // at Probabilities
	FirstRow  []Number `json:"first_row"` // the last axis at index 0 of all others
}

// Probabilities are where Statistics.Quantiles are taken.
var Probabilities = []float64{0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999}

// Describe computes the statistics of a row-major tensor. values is sorted in
// place.
func Describe(values []float64, shape []int) Statistics {
	s := Statistics{Elements: len(values), FirstRow: []Number{}}
	if n := len(shape); n > 0 {
		for _, v := range values[:min(shape[n-1], len(values))] {
			s.FirstRow = append(s.FirstRow, Number(v))
		}
	}
	finite := values[:0]
	var sum, squares float64
	for _, v := range values {
		switch {
		case math.IsNaN(v):
			s.NaN++
			continue
		case math.IsInf(v, 0):
			s.Inf++
			continue
		case v == 0:
			s.Zero++
		}
		sum += v
		squares += v * v
		finite = append(finite, v)
	}
	slices.Sort(finite)
	n := float64(len(finite))
	s.Min, s.Max = quantile(finite, 0), quantile(finite, 1)
	s.Mean, s.RMS = Number(sum/n), Number(math.Sqrt(squares/n))
	for _, p := range Probabilities {
		s.Quantiles = append(s.Quantiles, quantile(finite, p))
	}
	return s
}

// quantile is the element of a sorted list below which a share p lies.
func quantile(sorted []float64, p float64) Number {
	if len(sorted) == 0 {
		return Number(math.NaN())
	}
	return Number(sorted[int(p*float64(len(sorted)-1)+0.5)])
}

// rowShown is how many elements of the first row are printed.
const rowShown = 8

// Print writes the statistics for a person.
func (s Statistics) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "elements   %d, %d NaN, %d Inf, %d zero\n", s.Elements, s.NaN, s.Inf, s.Zero)
	fmt.Fprintf(&b, "range      %s to %s\n", s.Min.Value(), s.Max.Value())
	fmt.Fprintf(&b, "mean       %s\nrms        %s\nquantiles\n", s.Mean.Value(), s.RMS.Value())
	for i, p := range Probabilities {
		fmt.Fprintf(&b, "  %5.1f %%  %s\n", 100*p, s.Quantiles[i].Value())
	}
	b.WriteString("first row ")
	for _, v := range s.FirstRow[:min(rowShown, len(s.FirstRow))] {
		b.WriteString(" " + v.Value())
	}
	if len(s.FirstRow) > rowShown {
		fmt.Fprintf(&b, " ... (%d)", len(s.FirstRow))
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}
