package page

import (
	"fmt"
	"math"
)

// The histogram's bins are powers of two of the relative difference.
const (
	lowestBin  = -40 // 1e-12: float32 has no smaller relative difference
	highestBin = 4   // 16 times the row
	bins       = highestBin - lowestBin + 1
)

// histogram counts relative differences by size.
type histogram struct {
	bin       [bins]int
	equal     int
	notFinite int
}

// count adds differences, none of which is negative.
func (h *histogram) count(diff []float32) {
	for _, d := range diff {
		switch e := int(math.Float32bits(d)>>23) - 127; {
		case d == 0:
			h.equal++
		case e == 128:
			h.notFinite++
		default:
			h.bin[min(max(e, lowestBin), highestBin)-lowestBin]++
		}
	}
}

func (h *histogram) total() int {
	n := h.equal + h.notFinite
	for _, c := range h.bin {
		n += c
	}
	return n
}

// Size of a histogram's drawing, in its own units.
const (
	histogramWide = 460
	histogramTall = 96
	histogramFoot = 18
)

// bar is one bin drawn.
type bar struct {
	X, Y, W, H float64
	Label      string
}

// histogramView is a histogram for the page.
type histogramView struct {
	Bars  []bar
	Ticks []tick // At in drawing units
	Equal string // share of equal elements and the like, in words
	Label string
}

// view draws the bars; heights go with the square root of the counts, so that
// few large differences stay visible beside many small ones.
func (h *histogram) view(of string) *histogramView {
	n := h.total()
	if n == 0 {
		return nil
	}
	most, low, high := 0, 0, -1
	for i, c := range h.bin {
		most = max(most, c)
		if c > 0 && high < 0 {
			low = i
		}
		if c > 0 {
			high = i
		}
	}
	v := &histogramView{Equal: fmt.Sprintf("%s of %d elements are equal", percent(h.equal, n), n)}
	if h.notFinite > 0 {
		v.Equal += fmt.Sprintf(", %d are not finite", h.notFinite)
	}
	w := float64(histogramWide) / bins
	for i, c := range h.bin {
		if c == 0 {
			continue
		}
		tall := max(math.Sqrt(float64(c)/float64(most))*histogramTall, 1)
		v.Bars = append(v.Bars, bar{round(float64(i) * w), round(histogramTall - tall), round(w - 1), round(tall),
			fmt.Sprintf("%s to %s: %d", short(math.Ldexp(1, i+lowestBin)), short(math.Ldexp(1, i+lowestBin+1)), c)})
	}
	for d := -9; d <= 0; d += 3 {
		v.Ticks = append(v.Ticks, tick{round((float64(d)*math.Log2(10) - lowestBin) * w), short(math.Pow(10, float64(d)))})
	}
	v.Label = of + ": " + v.Equal
	if high >= 0 {
		v.Label += fmt.Sprintf("; the others differ by %s to %s of their row's root mean square",
			short(math.Ldexp(1, low+lowestBin)), short(math.Ldexp(1, high+lowestBin+1)))
	}
	return v
}

// percent spells a share, never rounding something to nothing.
func percent(part, whole int) string {
	switch p := 100 * float64(part) / float64(whole); {
	case part == 0:
		return "none"
	case part == whole:
		return "all"
	case p < 0.1:
		return "less than 0.1 %"
	case p > 99.9:
		return "more than 99.9 %"
	default:
		return fmt.Sprintf("%.1f %%", p)
	}
}

// round cuts a coordinate to a tenth of a unit.
func round(x float64) float64 { return math.Round(x*10) / 10 }
