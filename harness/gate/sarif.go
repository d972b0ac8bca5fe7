package gate

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"attndiff/harness/report"
)

// The properties of SARIF 2.1.0 that are used here
// (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html).
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool                `json:"tool"`
		Bases   map[string]sarifArtifact `json:"originalUriBaseIds"`
		Results []sarifResult            `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string       `json:"id"`
		ShortDescription sarifMessage `json:"shortDescription"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifMessage       `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI  string        `json:"uri,omitempty"`
		Base string        `json:"uriBaseId,omitempty"`
		Says *sarifMessage `json:"description,omitempty"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
)

const (
	sarifSchema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	sarifVersion = "2.1.0"
	sourceRoot   = "SRCROOT"
)

// rules says in a sentence what each kind of problem is.
var rules = []struct {
	kind Kind
	text string
}{
	{Introduced, "An op is wrong: recomputed in float64 from its own recorded inputs it comes out different."},
	{Diverges, "Ours drifts from llama.cpp more than its ops explain."},
	{Unclean, "A case that was clean no longer is."},
	{Grown, "The error of an op grew more than 4 times over the baseline, inside its allowance."},
	{Unknown, "The baseline does not have this case as it is run."},
	{Died, "An engine crashed, hung or ran out of memory."},
	{Moved, "llama.cpp no longer gives what its golden trace holds."},
	{Stale, "A record that belongs to nothing: a waiver unused or expired, a case gone."},
}

// found is one problem, in all the cases that have it.
type found struct {
	Problem
	file  string
	line  int
	cases []string
}

// SARIF writes the part's problems as SARIF 2.1.0: a result for each op and
// kind of problem, at the line of the kernel that computes it, else at the line
// of the matrix that asks for the case. Waived ones are suppressed.
func (p *Part) SARIF(w io.Writer) error {
	run := sarifRun{Results: []sarifResult{}, Bases: map[string]sarifArtifact{sourceRoot: {Says: &sarifMessage{"The root of the repository."}}}}
	run.Tool.Driver = sarifDriver{Name: "attndiff", Version: p.Program.Commit}
	for _, r := range rules {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{string(r.kind), sarifMessage{r.text}})
	}
	for _, f := range p.found() {
		run.Results = append(run.Results, f.sarif(p.Known))
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(sarifLog{sarifSchema, sarifVersion, []sarifRun{run}})
}

// found gathers problems of one kind at one op and place.
func (p *Part) found() []*found {
	var all []*found
	at := map[string]*found{}
	add := func(name, file string, line int, problem Problem) {
		if w := problem.Where; w != nil && w.File != nil {
			if file, line = *w.File, 1; w.Line != nil {
				line = *w.Line
			}
		}
		key := fmt.Sprint(problem.Kind, problem.Tap, file, line, problem.Waiver != nil)
		f := at[key]
		if f == nil {
			f = &found{Problem: problem, file: file, line: max(line, 1)}
			at[key] = f
			all = append(all, f)
		}
		if name != "" {
			f.cases = append(f.cases, name)
		}
	}
	for _, r := range p.all() {
		for _, problem := range r.Problems {
			add(r.Name, p.Matrix.File, r.Line, problem)
		}
	}
	for _, problem := range p.General {
		file, line := p.Baseline.File, 1
		for _, w := range p.Known {
			if strings.HasPrefix(problem.Text, fmt.Sprintf("%s:%d:", w.File, w.Line)) {
				file, line = w.File, w.Line
			}
		}
		problem.Tap = fmt.Sprint(line) // one result each
		add("", file, line, problem)
	}
	return all
}

// sarif is the problem as a result.
func (f *found) sarif(known []Waiver) sarifResult {
	text := f.Problem.String()
	if f.Kind == Stale {
		text = f.Text
	}
	if f.Cause != "" {
		text += ". Cause: " + f.Cause
	}
	if f.Fix != "" {
		text += ". Fix: " + f.Fix
	}
	if n := len(f.cases); n > 0 {
		text += fmt.Sprintf(" (%d of the gate's cases, first %s)", n, f.cases[0])
	}
	r := sarifResult{
		RuleID: string(f.Kind), Level: f.level(), Message: sarifMessage{text},
		RuleIndex: slices.IndexFunc(rules, func(r struct {
			kind Kind
			text string
		}) bool {
			return r.kind == f.Kind
		}),
		Fingerprints: map[string]string{"attndiff/v1": fmt.Sprintf("%s:%s:%s", f.Kind, f.Tap, f.file)},
		Locations:    []sarifLocation{{Physical: sarifPhysical{sarifArtifact{URI: f.file, Base: sourceRoot}, sarifRegion{f.line}}}},
	}
	if w := f.Where; w != nil && w.Function != nil {
		r.Locations[0].Logical = []sarifLogical{{*w.Function, "function"}}
	}
	if f.Waiver != nil {
		r.Suppressions = []sarifSuppression{{"external", known[*f.Waiver].Reason}}
	}
	return r
}

// level grades a problem as SARIF does.
func (f *found) level() string {
	switch {
	case f.Waiver != nil:
		return "note"
	case f.Kind == Introduced && f.Severity == report.Medium, f.Kind == Grown, f.Kind == Unclean, f.Kind == Stale:
		return "warning"
	}
	return "error"
}
