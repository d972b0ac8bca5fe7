package diagnose

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// A vector that an op adds to or multiplies every row with can be worked out
// from the rows. The functions below look for it among the model's own: another
// tensor, another layer's, other elements, another type.

// vectorKinds are the tensors that may be taken for one another.
func vectorKinds(own string) []string {
	if slices.Contains(biasNames, own) {
		return append([]string{own}, slices.DeleteFunc(slices.Clone(biasNames), func(n string) bool { return n == own })...)
	}
	norms := []string{tensorOf[tap.AttnNorm], tensorOf[tap.FFNNorm], tensorOf[tap.ResultNorm]}
	return append([]string{own}, slices.DeleteFunc(norms, func(n string) bool { return n == own })...)
}

// indexMap is which element of a vector channel e gets.
type indexMap struct {
	text string // of the element: "e+1"
	at   func(e int) int
}

// indexMaps are the ways to take a vector of n elements for rows in heads.
func (p *probe) indexMaps(n int) []indexMap {
	d := max(p.dims.D, 1)
	half := max(d/2, 1)
	maps := []indexMap{
		{"e", func(e int) int { return e }},
		{"e+1, the last one that of itself", func(e int) int { return min(e+1, n-1) }},
		{"e-1, the first one that of itself", func(e int) int { return max(e-1, 0) }},
		{"e+1, the last one element 0", func(e int) int { return (e + 1) % n }},
		{"e-1, the first one the last", func(e int) int { return (e + n - 1) % n }},
		{fmt.Sprintf("%d-e (last one first)", n-1), func(e int) int { return n - 1 - e }},
		{fmt.Sprintf("e/%d (one for a head)", d), func(e int) int { return e / d }},
		{"0 (one for all)", func(int) int { return 0 }},
		{"e/2", func(e int) int { return e / 2 }},
		{"e^1 (neighbours swapped)", func(e int) int { return e ^ 1 }},
		{"of its head's dims in reverse", func(e int) int { return e/d*d + d - 1 - e%d }},
		{"of the other half of its head", func(e int) int { return e/d*d + (e+half)%d }},
	}
	for _, m := range distinct([]int{d, p.dims.G * d, half, 32, 128, 256, 512, 1024}, func(m int) bool { return m > 0 && m < n }) {
		maps = append(maps, indexMap{fmt.Sprintf("e mod %d", m), func(e int) int { return e % m }})
	}
	if n%d == 0 {
		for k := 1; k < n/d; k++ {
			maps = append(maps, indexMap{fmt.Sprintf("(e+%d) mod %d, %s further", k*d, n, counted(k, "head")), func(e int) int { return (e + k*d) % n }})
		}
	}
	return maps
}

func counted(n int, noun string) string {
	if n == 1 {
		return "one " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// vectorTolerance is how close an element of a norm's weight can be worked out
// from a few rows: well within the rounding of a narrower type.
const vectorTolerance = oracle.UnitF16 / 64

// vectorTypes are what a vector may have been narrowed to on its way.
var vectorTypes = append([]rounding{{to: func(v float64) float64 { return v }}}, roundings...)

// vectorSource says where the vectors come from that an op took for its own,
// one per layer with the deviation that each element may have; "" when the
// model has none like them.
func (p *probe) vectorSource(own string, took func(layer int) (v, deviation []float64)) string {
	layers := p.exhibitLayers()
	v, deviation := took(layers[0])
	if len(v) == 0 {
		return ""
	}
	for _, r := range vectorTypes {
		for _, kind := range vectorKinds(own) {
			for _, m := range p.indexMaps(len(v)) {
				from := make([]int, len(layers))
				found := true
				for i, l := range layers {
					v, deviation = took(l)
					from[i], found = p.vectorLayer(kind, l, func(source []float64) bool {
						return takes(v, deviation, source, m.at, r.to)
					})
					if !found {
						break
					}
				}
				right := kind == own && m.text == "e" && r.name == "" && (slices.Equal(from, layers) || !strings.Contains(own, "%d"))
				if found && !right {
					return sourceWords(own, kind, m.text, r.name, layers, from)
				}
			}
		}
	}
	return ""
}

// takes reports whether v is made of elements of a source.
func takes(v, deviation, source []float64, at func(int) int, narrow func(float64) float64) bool {
	for e, x := range v {
		j := at(e)
		if j < 0 || j >= len(source) || !(math.Abs(x-narrow(source[j])) <= deviation[e]) {
			return false
		}
	}
	return true
}

// vectorLayer is the layer whose vector of a kind fits, the op's own before
// those beside it before others.
func (p *probe) vectorLayer(kind string, own int, fits func([]float64) bool) (int, bool) {
	if !strings.Contains(kind, "%d") || own == tap.NoLayer {
		own = max(own, p.layers-1)
	}
	for d := range min(p.layers, maxLayers) {
		for _, l := range []int{own - d, own + d} {
			if source := p.vector(layerName(kind, l)); l >= 0 && l < p.layers && len(source) > 0 && fits(source) {
				return l, true
			}
			if !strings.Contains(kind, "%d") {
				return own, false
			}
		}
	}
	return own, false
}

// exhibitLayers are the layers of the exhibits, in order.
func (p *probe) exhibitLayers() []int {
	var layers []int
	for _, x := range p.exhibits {
		layers = append(layers, x.key.Layer)
	}
	slices.Sort(layers)
	return slices.Compact(layers)
}

// sourceTitle makes a sentence of a source: an op adds or uses a vector, or its
// channels take elements of one.
func sourceTitle(t tap.Tap, does, source string) string {
	if strings.HasPrefix(source, "channel ") {
		return fmt.Sprintf("%s: %s", t, source)
	}
	return fmt.Sprintf("%s %s %s", t, does, source)
}

// sourceWords names a source: "attn_v.bias of the layer before, rounded to
// bf16, in place of attn_k.bias".
func sourceWords(own, kind, at, narrowed string, layers, from []int) string {
	noun := "weight"
	if slices.Contains(biasNames, own) {
		noun = "bias"
	}
	what := "the " + noun
	if kind != own {
		what = tensorName(kind)
	}
	offset, same := from[0]-layers[0], true
	for i, l := range layers {
		same = same && from[i]-l == offset
	}
	switch {
	case layers[0] == tap.NoLayer && strings.Contains(kind, "%d"):
		what += fmt.Sprintf(" of layer %d", from[0])
	case layers[0] == tap.NoLayer || same && offset == 0:
	case same:
		what += relation{tap: tap.AttnNorm, layer: offset}.where()
	default:
		var each []string
		for i, l := range layers {
			each = append(each, fmt.Sprintf("layer %d takes layer %d's", l, from[i]))
		}
		what += " of another layer: " + strings.Join(each, ", ")
	}
	if at != "e" {
		what = "channel e takes element " + at + " of " + strings.TrimPrefix(what, "the ")
		if kind == own {
			what = strings.Replace(what, " of "+noun, " of the "+noun, 1)
		}
	}
	if narrowed != "" {
		what += ", rounded to " + narrowed
	}
	if kind != own {
		what += ", in place of " + tensorName(own)
		if at == "e" && narrowed == "" {
			what = strings.Replace(what, ", in place", " in place", 1)
		}
	}
	return what
}
