package gate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"attndiff/traces/tap"
)

// Waiver is a deviation that is known and put up with for a while.
type Waiver struct {
	Tap     string   `json:"tap"`
	Layers  []int    `json:"layers"` // nil for all
	Cases   []string `json:"cases"`  // patterns of names as path.Match reads them; nil for all
	Reason  string   `json:"reason"`
	Expires string   `json:"expires"` // the last day it holds, "2027-03-31"

	File    string `json:"file"`
	Line    int    `json:"line"`
	Expired bool   `json:"expired"` // on the day the gate ran
}

// dateForm is how a waiver's date is written (RFC 3339, full-date).
const dateForm = "2006-01-02"

// ReadWaivers reads a waiver file; where there is none there are no waivers.
func ReadWaivers(path string) ([]Waiver, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("waivers: %w", err)
	}
	return ParseWaivers(path, text)
}

// ParseWaivers reads waivers from the text of the file named path: a list of
// mappings with tap, layers, reason, expires and, to narrow it, cases. The
// error is an [InputError].
func ParseWaivers(path string, text []byte) ([]Waiver, error) {
	d := document{path}
	root, err := d.parse(text)
	if err != nil || root == nil || root.Tag == "!!null" {
		return nil, err
	}
	if err := d.want(root, "the waiver file", yaml.SequenceNode); err != nil {
		return nil, err
	}
	var list []Waiver
	for _, n := range root.Content {
		w, err := d.waiver(n)
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, nil
}

func (d document) waiver(n *yaml.Node) (Waiver, error) {
	w := Waiver{File: d.file, Line: n.Line}
	var layers string
	err := d.mapping(n, "a waiver", fields{
		"tap": func(n *yaml.Node) error {
			if _, err := tap.Parse(n.Value); err != nil || n.Kind != yaml.ScalarNode {
				return d.errorf(n, "tap is %s, which is none; `attndiff help` and traces/tap list them", shown(n))
			}
			w.Tap = n.Value
			return nil
		},
		"layers": func(n *yaml.Node) error {
			if err := d.text("layers", &layers)(n); err != nil {
				return err
			}
			var err error
			if w.Layers, err = parseLayers(layers); err != nil {
				return d.errorf(n, "layers: %v", err)
			}
			return nil
		},
		"reason": d.text("reason", &w.Reason),
		"expires": func(n *yaml.Node) error {
			if _, err := time.Parse(dateForm, n.Value); err != nil || n.Kind != yaml.ScalarNode {
				return d.errorf(n, "expires is %s; write a date as 2027-03-31", shown(n))
			}
			w.Expires = n.Value
			return nil
		},
		"cases": d.each("cases", func(n *yaml.Node) error {
			if _, err := path.Match(n.Value, ""); err != nil || n.Kind != yaml.ScalarNode || n.Value == "" {
				return d.errorf(n, "cases: %s is no pattern of case names; write one as haiku/*/f16/*/*", shown(n))
			}
			w.Cases = append(w.Cases, n.Value)
			return nil
		}),
	})
	if err != nil {
		return w, err
	}
	for _, part := range []struct{ name, value string }{{"tap", w.Tap}, {"layers", layers}, {"reason", w.Reason}, {"expires", w.Expires}} {
		if part.value == "" {
			return w, d.errorf(n, "a waiver without %s; it needs tap, layers (0-2 or all), reason and expires", part.name)
		}
	}
	return w, nil
}

// parseLayers reads "all", "3" or "0-2,5".
func parseLayers(text string) ([]int, error) {
	if text == "all" {
		return nil, nil
	}
	var list []int
	for _, part := range strings.Split(text, ",") {
		a, b, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			b = a
		}
		first, errA := strconv.Atoi(a)
		last, errB := strconv.Atoi(b)
		if errA != nil || errB != nil || first < 0 || last < first || last >= maxLayers {
			return nil, fmt.Errorf("%q is no list of layers; write them as 0-2,5 or all", text)
		}
		for l := first; l <= last; l++ {
			list = append(list, l)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// maxLayers is llama.cpp's LLAMA_MAX_LAYERS.
const maxLayers = 512

// expire marks the waivers that no longer hold on a day.
func expire(list []Waiver, today time.Time) []Waiver {
	list = slices.Clone(list)
	for i := range list {
		// Dates of this form sort as text.
		list[i].Expired = list[i].Expires < today.Format(dateForm)
	}
	return list
}

// covers reports whether the waiver is about a case.
func (w *Waiver) covers(name string) bool { return w.Cases == nil || matches(name, w.Cases) }

// waive splits a case's problems by the waivers that hold: what is left and
// what is put up with, each of the latter with the waiver's number. A problem
// in several layers is waived in those that waivers name.
func waive(name string, problems []Problem, waivers []Waiver) []Problem {
	var out []Problem
	for _, p := range problems {
		if p.Tap == "" {
			out = append(out, p)
			continue
		}
		for i := range waivers {
			w := &waivers[i]
			if w.Expired || w.Tap != p.Tap || !w.covers(name) {
				continue
			}
			some, rest, whole := p.split(w.Layers)
			if some != nil {
				some.Waiver = &i
				out = append(out, *some)
			}
			if p = rest; whole {
				break
			}
		}
		if !p.empty {
			out = append(out, p)
		}
	}
	return out
}
