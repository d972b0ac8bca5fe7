package gate

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"attndiff/harness/report"
	"attndiff/traces/tap"
)

// Renewal is what an update changes: the new baseline, the new goldens, and
// one line for each difference to those before.
type Renewal struct {
	Baseline *Baseline
	Goldens  map[string]string // new file by the place it belongs
	Changes  []string
}

// Renew makes the new baseline and goldens of a run with Update. Cases that
// were skipped, not chosen or not clean stay as they were.
func (g *Gate) Renew(p *Part) *Renewal {
	r := &Renewal{Baseline: &Baseline{File: g.Matrix.Baseline, Cases: map[string]*Record{}}, Goldens: map[string]string{}}
	say := func(format string, args ...any) { r.Changes = append(r.Changes, fmt.Sprintf(format, args...)) }
	for name, old := range g.Baseline.Cases {
		if !slices.Contains(p.Gone, name) || len(p.Only) > 0 {
			r.Baseline.Cases[name] = old
		}
	}
	for i := range p.Cases {
		c := &p.Cases[i]
		old := g.Baseline.Cases[c.Name]
		switch {
		case c.record == nil && c.Verdict == Skipped:
		case c.record == nil:
			say("kept    %s: %s", c.Name, c.failing()[0].String())
		default:
			r.Baseline.Cases[c.Name] = c.record
			for _, change := range c.record.changes(old) {
				say("%s", change.line(c.Name))
			}
		}
	}
	if len(p.Only) == 0 {
		for _, name := range p.Gone {
			say("removed %s", name)
		}
	}
	for i, golden := range p.Goldens {
		if golden.golden != "" {
			want := g.Matrix.Goldens[golden.Index-len(g.Matrix.Cases)]
			r.Goldens[want.Path] = golden.golden
			say("golden  %s", want.Path)
		} else if golden.Verdict != Pass {
			say("kept    %s: %s", golden.Name, p.Goldens[i].failing()[0].String())
		}
	}
	return r
}

// change is one difference between two records of a case.
type change struct{ word, text string }

func (c change) line(name string) string {
	if c.text == "" {
		return fmt.Sprintf("%-7s %s", c.word, name)
	}
	return fmt.Sprintf("%-7s %s: %s", c.word, name, c.text)
}

// changes lists in what a record differs from an older one, ops by the layer
// that changed most.
func (r *Record) changes(old *Record) []change {
	if old == nil {
		return []change{{"added", ""}}
	}
	var list []change
	differ := func(what, was, is string) {
		if was != is {
			list = append(list, change{"changed", fmt.Sprintf("%s is %s and was %s", what, is, was)})
		}
	}
	differ("model", old.Model, r.Model)
	differ("prompt", old.Prompt, r.Prompt)
	differ("decoded", fmt.Sprint(old.Decoded), fmt.Sprint(r.Decoded))
	differ("unclean", fmt.Sprint(old.Unclean), fmt.Sprint(r.Unclean))
	for _, t := range tap.All() {
		is, was := r.Ops[t], old.Ops[t]
		at, most := -1, 0.0
		for l := range max(len(is), len(was)) {
			a, b := cell(was, l), cell(is, l)
			if figure(a) != figure(b) {
				if by := math.Abs(math.Log(max(b, tiny) / max(a, tiny))); at < 0 || by > most {
					at, most = l, by
				}
			}
		}
		if at >= 0 {
			list = append(list, change{"changed", fmt.Sprintf("%s, layer %d: %s, was %s", t, at, figure(cell(is, at)), figure(cell(was, at)))})
		}
	}
	return list
}

// tiny stands for 0 in ratios: less than any rounding leaves.
const tiny = 1e-18

// cell is a column, NaN where there is none.
func cell(list []float64, l int) float64 {
	if l >= len(list) {
		return math.NaN()
	}
	return list[l]
}

// Write puts baseline and goldens in their places, each whole or not at all.
func (r *Renewal) Write() error {
	if err := replace(r.Baseline.File, r.Baseline.Text()); err != nil {
		return err
	}
	for _, place := range sortedKeys(r.Goldens) {
		text, err := os.ReadFile(r.Goldens[place])
		if err != nil {
			return err
		}
		if err := replace(place, text); err != nil {
			return err
		}
	}
	return nil
}

// replace writes a file beside its place, whose folder it makes, and moves it
// there.
func replace(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return report.Whole(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}
