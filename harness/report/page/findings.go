package page

import (
	"fmt"

	"attndiff/harness/report"
)

// finding is a wrong op in words.
type finding struct {
	report.Finding
	Extent string // layers, steps and how many recordings
	Worst  string // where it is worst
	Like   string // the matching place in llama.cpp
	Sure   string // how sure the cause is
}

func findings(r *report.Report) []finding {
	var out []finding
	for _, f := range r.Findings {
		v := finding{Finding: f, Extent: report.Ranges("step", f.Steps)}
		if len(f.Layers) > 0 {
			v.Extent = report.Ranges("layer", f.Layers) + ", " + v.Extent
		}
		v.Extent += fmt.Sprintf(", %d of %d recordings", f.Evidence.Recordings, f.Evidence.Of)
		e := f.Evidence
		v.Worst = report.Where(f.Tap, e.Layer, e.Step)
		if len(e.Index) > 0 {
			v.Worst += ", " + report.Coordinates(f.Tap, e.Index)
		}
		v.Like = f.Reference.String()
		if words := f.Cause.Words(); words != f.Cause.Title {
			v.Sure = words
		}
		out = append(out, v)
	}
	return out
}

// How many lines of lists a page shows.
const (
	unstableShown = 20
	clearedShown  = 40
)

// unstable lists recordings that differ between runs.
func unstable(r *report.Report) []string {
	var out []string
	for _, u := range r.Unstable[:min(unstableShown, len(r.Unstable))] {
		out = append(out, fmt.Sprintf("%s, in %s", report.Where(u.Tap, u.Layer, u.Step), count(u.Runs, "run")))
	}
	if more := len(r.Unstable) - unstableShown; more > 0 {
		out = append(out, fmt.Sprintf("and %d more; report.json lists them", more))
	}
	return out
}

// cleared is something odd and right, with its place in words.
type cleared struct {
	report.Cleared
	Place string
}

func clearedOf(r *report.Report) []cleared {
	var out []cleared
	for _, c := range r.Cleared[:min(clearedShown, len(r.Cleared))] {
		place := report.Where(c.Where.Tap, c.Where.Layer, c.Where.Step)
		if len(c.Where.Index) > 0 {
			place += ", " + report.Coordinates(c.Where.Tap, c.Where.Index)
		}
		out = append(out, cleared{c, place})
	}
	return out
}
