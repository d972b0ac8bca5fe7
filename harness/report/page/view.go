package page

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"slices"

	"attndiff/harness/report"
)

// view is what the templates see.
type view struct {
	*report.Report
	Style  template.CSS
	Script template.JS
	Policy string // what the page may load: nothing
	Head   head

	Texts         []text // of both sides, for comparison
	Ids           bool   // they are ids
	Differ        bool   // in what they say, else
	Same          bool   // they say the same
	Prompt        string // clipped
	Cut           int    // characters of the prompt left out
	Findings      []finding
	UnstableShown []string
	ClearedShown  []cleared

	Map    *layerMap
	Growth []chart
	Ops    []op
	Scores []scores
	Caches []cacheView
	Left   string // what was not drawn, in words
	Data   *data

	Differences []tick // of the scale that all differences share
}

// newView draws everything.
func newView(in Input) (*view, error) {
	style, err := assets.ReadFile("assets/style.css")
	if err != nil {
		return nil, err
	}
	script, err := assets.ReadFile("assets/script.js")
	if err != nil {
		return nil, err
	}
	r := in.Report
	v := &view{Report: r, Style: template.CSS(style) + gradients(), Script: template.JS(script), Policy: policy(script), Head: newHead(r)}
	v.Prompt, v.Cut = clipped(r.Prompt.Text, promptShown)
	if r.Failure == nil {
		v.Texts, v.Ids = texts(r, in.Decode), in.Decode == nil
		v.Same = slices.Equal(r.Tokens.Reference, r.Tokens.Ours)
		v.Differ = !v.Same
	}
	v.Findings = findings(r)
	v.UnstableShown, v.ClearedShown = unstable(r), clearedOf(r)
	v.Differences = relative.ticks()
	v.Map = newLayerMap(r)
	v.Growth = growth(r)
	v.Data = newData(r)
	if in.Reference == nil || in.Ours == nil {
		return v, nil
	}
	s := newSource(in.Reference, in.Ours, r)
	v.Data.trace(s, in.Decode)
	return v, v.draw(s)
}

// gradients are the colour scales as style rules for legends.
func gradients() template.CSS {
	var css template.CSS
	for _, kind := range []string{"signed", "amount", "error"} {
		css += template.CSS(".bar." + kind + "{background:" + scale{Kind: kind}.gradient() + "}\n")
	}
	return css
}

// policy lets the page run its own script and no other, whatever a prompt or an
// engine managed to write into it, and fetch nothing.
func policy(script []byte) string {
	sum := sha256.Sum256(script)
	return "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
