package page

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attndiff/harness/report"
	"attndiff/harness/verdict"
)

// Size of a growth chart and its plot, in its own units.
const (
	chartWide  = 960
	chartTall  = 330
	plotLeft   = 56
	plotRight  = 948
	plotTop    = 30
	plotBottom = 290
)

// The errors that a chart spans: below the rounding of float64's oracle, and
// beyond an error as large as the signal.
const (
	growthLow  = 1e-17
	growthHigh = 1e2
)

// chart is the error of every recording of one step along execution order.
type chart struct {
	Title  string
	Label  string // what it shows, in words
	Band   string // path of the allowance
	Drift  string // path of the line
	Ops    string // path of one dot per op
	Wrong  string // path of one cross per wrong op
	Levels []tick // At in drawing units, down
	Layers []tick // At in drawing units, across
	Over   bool   // judged by drift: the band is the drift's
	Step   int
}

// chartedRecordings is how many recordings charts show together.
const chartedRecordings = 3000

// growth draws the step with the worst op, the prefill and the last, as far as
// they fit.
func growth(r *report.Report) []chart {
	if len(r.Taps) == 0 {
		return nil
	}
	worst := &r.Taps[0]
	for i := range r.Taps {
		if t := &r.Taps[i]; t.Excess() > worst.Excess() {
			worst = t
		}
	}
	var out []chart
	left := chartedRecordings
	for _, step := range []int{worst.Step, r.Taps[0].Step, r.Taps[len(r.Taps)-1].Step} {
		taps := ofStep(r, step)
		drawn := slices.ContainsFunc(out, func(c chart) bool { return c.Step == step })
		if !drawn && (len(out) == 0 || len(taps) <= left) {
			out = append(out, newChart(r, step, taps))
			left -= len(taps)
		}
	}
	slices.SortFunc(out, func(a, b chart) int { return a.Step - b.Step })
	return out
}

// ofStep lists one step's recordings.
func ofStep(r *report.Report, step int) []*report.Tap {
	var taps []*report.Tap
	for i := range r.Taps {
		if r.Taps[i].Step == step {
			taps = append(taps, &r.Taps[i])
		}
	}
	return taps
}

// newChart draws one step's recordings.
func newChart(r *report.Report, step int, taps []*report.Tap) chart {
	c := chart{Title: fmt.Sprintf("step %d (%s)", step, report.Phase(step)), Over: !r.Oracle, Step: step}
	pace := float64(plotRight-plotLeft) / float64(len(taps))
	var band, drift, dots, wrong strings.Builder
	crosses := 0
	pen, layer, first, last := "M", -1, math.NaN(), math.NaN()
	for i, t := range taps {
		left := plotLeft + float64(i)*pace
		x := left + pace/2
		if t.Layer != nil && *t.Layer != layer {
			layer = *t.Layer
			c.Layers = append(c.Layers, tick{round(left), fmt.Sprint(layer)})
		}
		if a := float64(t.Allowance); a > 0 {
			fmt.Fprintf(&band, "M%g %dV%gH%gV%d", round(left), plotBottom, high(a), round(left+pace), plotBottom)
		}
		if d := float64(t.Drift); math.IsNaN(d) && t.NonFinite == 0 {
			pen = "M" // nothing to compare with: the line has a gap
		} else {
			fmt.Fprintf(&drift, "%s%g %g", pen, round(x), high(d))
			pen = "L"
			if math.IsNaN(first) {
				first = d
			}
			last = d
		}
		op := shownOp(t)
		switch {
		case t.Status == verdict.Introduced:
			fmt.Fprintf(&wrong, "M%g %gl10 10m0-10l-10 10", round(x-5), high(op)-5)
			crosses++
		case !math.IsNaN(float64(t.OpOurs)):
			fmt.Fprintf(&dots, "M%g %gh0", round(x), high(op))
		}
	}
	c.Band, c.Drift, c.Ops, c.Wrong = band.String(), drift.String(), dots.String(), wrong.String()
	c.Layers = thin(c.Layers)
	for d := -16; d <= 0; d += 4 {
		c.Levels = append(c.Levels, tick{high(math.Pow(10, float64(d))), short(math.Pow(10, float64(d)))})
	}
	c.Label = fmt.Sprintf("Error along execution order in %s: drift goes from %s to %s over %d recordings; %d ops are beyond their allowance",
		c.Title, report.Number(first).Amount(), report.Number(last).Amount(), len(taps), crosses)
	return c
}

// shownOp is the error that an op is judged by.
func shownOp(t *report.Tap) float64 {
	if e := float64(t.OpOurs); !math.IsNaN(e) {
		return e
	}
	return float64(t.Drift)
}

// high is how far down an error is drawn; what is not finite is at the top.
func high(e float64) float64 {
	if math.IsNaN(e) {
		return plotTop
	}
	share := math.Log(max(e, growthLow)/growthLow) / math.Log(growthHigh/growthLow)
	return round(plotBottom - min(share, 1)*(plotBottom-plotTop))
}

// thin leaves room between labels.
func thin(layers []tick) []tick {
	const room = 24
	kept := layers[:0:0]
	for _, l := range layers {
		if n := len(kept); n > 0 && l.At-kept[n-1].At < room {
			continue
		}
		kept = append(kept, l)
	}
	return kept
}
