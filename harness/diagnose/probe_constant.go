package diagnose

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// grouping says which elements share a factor, and how a sentence says it.
// The label is the same for elements of one group; -1 leaves an element out.
type grouping struct {
	kind, each string
	label      func(n int, x *exhibit) func(i int) int // n numbers the exhibit
}

// groupings from one factor for all to one per row.
func (p *probe) groupings() []grouping {
	out := []grouping{{kind: "constant-factor", each: "recording",
		label: func(n int, _ *exhibit) func(int) int { return func(int) int { return n } }}}
	if k := p.axisNamed("head"); k >= 0 {
		out = append(out, grouping{kind: "constant-per-head", each: p.exhibits[0].noun(k),
			label: func(_ int, x *exhibit) func(int) int { return x.axisOf(k).slice }})
	}
	if p.axisNamed("token") == 0 || p.axisNamed("position") == 0 {
		out = append(out, grouping{kind: "constant-per-channel", each: "channel",
			label: func(_ int, x *exhibit) func(int) int {
				width := len(x.got) / max(x.shape[0], 1)
				return func(i int) int { return (x.key.Layer+1)*width + i%width }
			}})
	}
	return append(out, grouping{kind: "constant-per-row", each: "row",
		label: func(n int, x *exhibit) func(int) int {
			return func(i int) int { return n<<32 | i/max(x.width(), 1) }
		}})
}

// axisNamed is the number of an axis of that name, -1 when there is none.
func (p *probe) axisNamed(name string) int {
	for k, a := range p.tap.Axes() {
		if a == name {
			return k
		}
	}
	return -1
}

// constants looks for ours = c * oracle with one c for all, per recording, per
// head, per channel or per row.
func constants(p *probe) []Clue {
	if len(p.exhibits) == 0 {
		return nil
	}
	all := factors(p.exhibits, func(int, *exhibit) func(int) int { return func(int) int { return 0 } })
	if f := all[0]; f != nil && f.c() != 0 {
		if residual, ok := p.holds(func(x *exhibit) *claim { return x.times(func(int) float64 { return f.c() }) }); ok {
			return []Clue{p.factorClue(f.c(), residual)}
		}
	}
	for _, g := range p.groupings() {
		fits := factors(p.exhibits, g.label)
		if !telling(fits, p.exhibits) {
			continue
		}
		n := map[*exhibit]int{}
		for i, x := range p.exhibits {
			n[x] = i
		}
		residual, ok := p.holds(func(x *exhibit) *claim {
			label := g.label(n[x], x)
			return x.times(func(i int) float64 {
				if f := fits[label(i)]; f != nil {
					return f.c()
				}
				return math.NaN()
			})
		})
		if ok {
			return []Clue{p.groupClue(g, fits, residual)}
		}
	}
	return nil
}

// factor is a least-squares fit of ours = c * oracle.
type factor struct {
	xy, yy float64
	n      int
}

func (f *factor) c() float64 { return ratio(f.xy, f.yy) }

// factors fits one factor per group over all exhibits.
func factors(exhibits []*exhibit, label func(n int, x *exhibit) func(int) int) map[int]*factor {
	fits := map[int]*factor{}
	for n, x := range exhibits {
		group := label(n, x)
		for i, y := range x.want {
			g := group(i)
			if i < x.base || !finite(y) || !finite(x.got[i]) || y == 0 {
				continue
			}
			if fits[g] == nil {
				fits[g] = &factor{}
			}
			fits[g].xy, fits[g].yy, fits[g].n = fits[g].xy+x.got[i]*y, fits[g].yy+y*y, fits[g].n+1
		}
	}
	return fits
}

// perFactor is how many elements each fitted factor must explain at the least,
// so that a fit is a finding and not a description of the data by itself.
const perFactor = 4

// telling reports whether the fits explain more elements than they have
// factors, and none is 0.
func telling(fits map[int]*factor, exhibits []*exhibit) bool {
	n := 0
	for _, x := range exhibits {
		n += len(x.want)
	}
	for _, f := range fits {
		if f.c() == 0 {
			return false // nothing was written there
		}
	}
	return n >= perFactor*len(fits) && len(fits) > 1
}

// times is the claim that an exhibit is the oracle times a factor per element.
// The product is rounded to f32, and to the cache's type where it is stored.
func (x *exhibit) times(factor func(i int) float64) *claim {
	c := &claim{make([]float64, len(x.want)), make([]float64, len(x.want))}
	storing := x.storing()
	for i, y := range x.want {
		k := factor(i)
		if y == 0 || i < x.base {
			k = 1 // no factor shows on a zero, and older rows are as they were
		}
		c.v[i] = k * y
		c.noise[i] = k*k*x.noise[i] + storing*c.v[i]*c.v[i]
	}
	return c
}

// factorClue words one factor for everything.
func (p *probe) factorClue(c, residual float64) Clue {
	name := p.constantName(c)
	clue := Clue{Kind: "constant-factor", Grade: Whole, Residual: residual, Names: true,
		Text: fmt.Sprintf("ours is %.6g times the oracle on every element", c)}
	if name != "" {
		clue.Text += fmt.Sprintf(" (%.6g = %s)", c, name)
	}
	clue.Title = fmt.Sprintf("%s is %.6g times what it should be", p.tap, c)
	clue.Fix = "Find the factor that is applied once too often, left out or taken from the wrong width"
	if name != "" {
		clue.Title += " (" + name + ")"
		clue.Fix += ": " + name + " must not be in the result"
	}
	clue.Fix += "."
	return clue
}

// groupClue words one factor per group; it describes the difference and does
// not name the mistake.
func (p *probe) groupClue(g grouping, fits map[int]*factor, residual float64) Clue {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, f := range fits {
		lo, hi = math.Min(lo, f.c()), math.Max(hi, f.c())
	}
	c := Clue{Kind: g.kind, Grade: Whole, Residual: residual, axis: g.each,
		Title: fmt.Sprintf("%s is off by one factor per %s", p.tap, g.each),
		Text:  fmt.Sprintf("ours is the oracle times one factor per %s, %.6g to %.6g", g.each, lo, hi)}
	switch g.kind {
	case "constant-per-row":
		if name := cmp.Or(p.constantName(lo), p.constantName(hi)); name != "" && hi-lo < factorTolerance*hi*4 {
			c.Text += ", nearly " + name
		}
		c.Text += ": what is common to a row (its sum, mean or scale) is wrong, not its elements"
		c.Fix = "Check the row's reduction: every thread's share in it once, the right count, the right eps or scale."
	case "constant-per-channel":
		c.Fix = "Check the weight that multiplies each channel: left out, applied twice, offset, or another tensor's."
		if name := p.channelName(fits); name != "" {
			c.Text, c.Names = c.Text+", "+name, true
			c.Title = fmt.Sprintf("%s is off by one factor per channel: %s", p.tap, name)
		} else if name = p.weightName(fits); name != "" {
			c.Text, c.Names, c.Kind = c.Text+": "+name, true, "wrong-weight"
			c.Title = sourceTitle(p.tap, "uses", name)
			c.Fix = fmt.Sprintf("Multiply channel e by element e of the norm's own weight, %s.", tensorName(tensorOf[p.tap]))
		}
	case "constant-per-head":
		c.Fix = "Check what is indexed by head: a scale, a slope or a stride."
	default:
		c.Fix = "Check which factor changes from layer to layer or step to step."
	}
	return c
}

// channelName says what the factors per channel are when they are the norm's
// weight left out, applied twice or offset by one, in every exhibit's layer, or
// make another vector of the model of it.
func (p *probe) channelName(fits map[int]*factor) string {
	if !slices.Contains(normTaps, p.tap) {
		return ""
	}
	for _, is := range []struct {
		text string
		of   func(w float64) float64
	}{
		{"one over the norm's weight: the weight is not applied", func(w float64) float64 { return 1 / w }},
		{"the norm's weight: the weight is applied twice", func(w float64) float64 { return w }},
		{"one over the square of the norm's weight: the weight divides where it should multiply", func(w float64) float64 { return 1 / (w * w) }},
		{"(1+w)/w: the norm's weight is taken as an offset from 1", func(w float64) float64 { return (1 + w) / w }},
	} {
		match := true
		for _, x := range p.exhibits {
			w := p.vector(layerName(tensorOf[p.tap], x.key.Layer))
			match = match && len(w) == x.width()
			for e, v := range w {
				f := fits[(x.key.Layer+1)*len(w)+e]
				match = match && (f == nil || math.Abs(f.c()/is.of(v)-1) < factorTolerance)
			}
		}
		if match {
			return is.text
		}
	}
	return ""
}

// weightName says which other vector of the model, or what else of the norm's
// own, the factors make of its weight.
func (p *probe) weightName(fits map[int]*factor) string {
	own := tensorOf[p.tap]
	if !slices.Contains(normTaps, p.tap) {
		return ""
	}
	return p.vectorSource(own, func(layer int) (v, deviation []float64) {
		for e, w := range p.vector(layerName(own, layer)) {
			f := fits[(layer+1)*p.exhibits[0].width()+e]
			if f == nil {
				return nil, nil
			}
			v, deviation = append(v, f.c()*w), append(deviation, vectorTolerance*math.Abs(f.c()*w))
		}
		return v, deviation
	})
}

// layerName fills a layer into a tensor's name that has a place for one.
func layerName(format string, layer int) string {
	if !strings.Contains(format, "%d") {
		return format
	}
	return fmt.Sprintf(format, layer)
}
