package page

import (
	"image/color"
	"math"
)

// oklab is a colour in the space of Ottosson, "A perceptual color space for
// image processing" (2020): lightness 0 to 1, green to red, blue to yellow.
// Equal steps in it look equally large, so that a straight line is a colour
// scale without false edges.
type oklab struct{ l, a, b float64 }

// The colour scales, drawn for a light page: the more ink, the larger the
// value. Lightness falls along each arm, so that they read without colour
// vision and in print; hues stay on the blue-yellow axis, which the common
// colour blindnesses leave alone, or follow lightness. A dark page inverts
// lightness and keeps the hues (style.css).
var (
	// signedScale is blue below 0, nothing at 0, orange above.
	signedScale = []oklab{{0.36, -0.02, -0.15}, {0.68, -0.04, -0.11}, {0.985, 0, 0}, {0.74, 0.06, 0.12}, {0.43, 0.10, 0.08}}
	// amountScale is from nothing to deep blue.
	amountScale = []oklab{{0.985, 0, 0}, {0.74, -0.06, -0.06}, {0.30, -0.01, -0.12}}
	// errorScale is from nothing over violet and red to dark brown; turned for a dark
	// page, from black over violet and red to pale yellow.
	errorScale = []oklab{{0.985, 0, 0}, {0.80, 0.07, -0.08}, {0.60, 0.19, 0.02}, {0.43, 0.10, 0.08}, {0.27, 0.04, 0.06}}
)

// Colours that no scale has.
var (
	absent   = color.NRGBA{} // transparent: nothing recorded
	notANum  = color.NRGBA{R: 0, G: 0, B: 0, A: 255}
	infinite = color.NRGBA{R: 0, G: 0, B: 1, A: 255} // looks the same, reads back as another
)

// at is the colour at a share of the way along a scale, 0 to 1.
func at(scale []oklab, share float64) color.NRGBA {
	x := share * float64(len(scale)-1)
	i := min(int(x), len(scale)-2)
	f := x - float64(i)
	p, q := scale[i], scale[i+1]
	return oklab{p.l + f*(q.l-p.l), p.a + f*(q.a-p.a), p.b + f*(q.b-p.b)}.rgb()
}

// rgb converts to sRGB with the matrices of the paper; what lies outside is
// clipped.
func (c oklab) rgb() color.NRGBA {
	l := cube(c.l + 0.3963377774*c.a + 0.2158037573*c.b)
	m := cube(c.l - 0.1055613458*c.a - 0.0638541728*c.b)
	s := cube(c.l - 0.0894841775*c.a - 1.2914855480*c.b)
	return color.NRGBA{
		R: gamma(4.0767416621*l - 3.3077115913*m + 0.2309699292*s),
		G: gamma(-1.2684380046*l + 2.6097574011*m - 0.3413193965*s),
		B: gamma(-0.0041960863*l - 0.7034186147*m + 1.7076147010*s),
		A: 255,
	}
}

func cube(x float64) float64 { return x * x * x }

// gamma encodes linear light as sRGB does (IEC 61966-2-1).
func gamma(x float64) uint8 {
	if x <= 0.0031308 {
		x *= 12.92
	} else {
		x = 1.055*math.Pow(x, 1/2.4) - 0.055
	}
	return uint8(math.Round(255 * min(max(x, 0), 1)))
}
