package page

import (
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"
)

// levels is how many values a picture tells apart: enough that a step cannot
// be seen, few enough that noise packs well.
const levels = 96

// Indices into a picture's palette: three special ones, then the levels.
const (
	indexAbsent = iota
	indexNaN
	indexInf
	indexLevel0
)

// scale maps values to levels. A signed scale is linear within the knee around
// 0 and logarithmic beyond, so that outlier channels do not turn the rest grey:
//
//	level ~ asinh(v/low) / asinh(high/low)
//
// The others are logarithmic from low to high. What lies outside gets the first
// or the last level.
type scale struct {
	Kind string  `json:"kind"` // "signed", "amount" or "error"
	Low  float64 `json:"low"`  // the knee of a signed scale
	High float64 `json:"high"`
}

// relative is the scale of all differences: |ours-reference| as a share of the
// root mean square of the reference's row. A rounding to f16 is at 3e-4.
var relative = scale{Kind: "error", Low: 1e-8, High: 10}

// share places a finite value on the scale, 0 to 1.
func (s scale) share(v float64) float64 {
	if s.Kind == "signed" {
		return min(max(0.5+0.5*math.Asinh(v/s.Low)/math.Asinh(s.High/s.Low), 0), 1)
	}
	if v <= s.Low {
		return 0
	}
	return min(math.Log(v/s.Low)/math.Log(s.High/s.Low), 1)
}

// index is a value's place in the palette.
func (s scale) index(v float64) uint8 {
	switch {
	case math.IsNaN(v):
		return indexNaN
	case math.IsInf(v, 0):
		return indexInf
	}
	return indexLevel0 + uint8(math.Round(s.share(v)*(levels-1)))
}

// colours is the scale's palette.
func (s scale) colours() []oklab {
	switch s.Kind {
	case "signed":
		return signedScale
	case "amount":
		return amountScale
	}
	return errorScale
}

// palette lists the colours of all indices.
func (s scale) palette() color.Palette {
	p := color.Palette{absent, notANum, infinite}
	for i := range levels {
		p = append(p, at(s.colours(), float64(i)/(levels-1)))
	}
	return p
}

// gradient is the scale as a CSS value.
func (s scale) gradient() string {
	const stops = 12
	var parts []string
	for i := range stops + 1 {
		c := at(s.colours(), float64(i)/stops)
		parts = append(parts, fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B))
	}
	return "linear-gradient(90deg," + strings.Join(parts, ",") + ")"
}

// tick is a labelled place on a legend or an axis.
type tick struct {
	At    float64 // per cent of the way
	Label string
}

// ticks labels a legend.
func (s scale) ticks() []tick {
	if s.Kind == "signed" {
		mid := s.Low * math.Sinh(math.Asinh(s.High/s.Low)/2) // halfway in colour
		return []tick{{0, short(-s.High)}, {25, short(-mid)}, {50, "0"}, {75, short(mid)}, {100, short(s.High)}}
	}
	var out []tick
	decades := math.Log10(s.High / s.Low)
	every := math.Ceil(decades / 5)
	for d := math.Ceil(math.Log10(s.Low)); d <= math.Log10(s.High)+1e-9; d += every {
		v := math.Pow(10, d)
		out = append(out, tick{100 * s.share(v), short(v)})
	}
	return out
}

// signed is the scale for values of both signs whose typical size and largest
// magnitude are given.
func signed(typical, largest float64) scale {
	if !(largest > 0) {
		return scale{"signed", 1, 1}
	}
	return scale{"signed", max(typical, largest*1e-3), largest}
}

// amounts is the scale for values from 0 up to a largest one, over so many
// decades.
func amounts(largest float64, decades int) scale {
	if !(largest > 0) {
		largest = 1
	}
	return scale{"amount", largest * math.Pow(10, -float64(decades)), largest}
}

// short prints a value in few characters: 1.2e-8, 0.25, 1200.
func short(v float64) string {
	format, digits := byte('g'), 2
	switch m := math.Abs(v); {
	case m == 0:
		return "0"
	case m >= 100 && m < 1e6:
		format, digits = 'f', 0
	case m < 1e-2:
		format, digits = 'e', 1
	}
	text := strconv.FormatFloat(v, format, digits, 64)
	digit, exponent, ok := strings.Cut(text, "e")
	if !ok {
		return digit
	}
	return strings.TrimSuffix(digit, ".0") + "e" + strings.TrimLeft(strings.Replace(strings.TrimPrefix(exponent, "+"), "-0", "-", 1), "0")
}
