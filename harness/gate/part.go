package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"attndiff/harness/report"
)

// Part is what a run of the gate found: of the whole matrix, or of a share of
// it. It is all that outputs are made from.
type Part struct {
	Schema   int      `json:"schema"`
	Matrix   Source   `json:"matrix"`
	Baseline Source   `json:"baseline"`
	Waivers  Source   `json:"waiver_file"`
	Program  Program  `json:"program"`
	Shard    Shard    `json:"shard"`
	Only     []string `json:"only"`   // patterns that chose the cases; empty for all
	Faults   []string `json:"faults"` // planted in ours
	Total    int      `json:"total"`  // cases and goldens of the matrix

	Cases   []Result  `json:"cases"`   // in the matrix's order
	Goldens []Result  `json:"goldens"` // the same
	Known   []Waiver  `json:"waivers"`
	Gone    []string  `json:"gone"` // cases of the baseline that the matrix does not have
	Verdict Word      `json:"verdict"`
	General []Problem `json:"general"` // problems that belong to no case
}

// schema is the version of the part's file.
const schema = 1

// Source is a file that the run depends on.
type Source struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"` // "" where there is no such file
}

// Program is what ran.
type Program struct {
	Commit  string `json:"commit"` // of the repository
	Llama   string `json:"llama_cpp_commit"`
	Kernels string `json:"kernel_digest"`
}

// Shard is a share of the matrix: every Of-th case and golden from Index on,
// counted from 1.
type Shard struct {
	Index int `json:"index"`
	Of    int `json:"of"`
}

// ParseShard reads "2/8".
func ParseShard(text string) (s Shard, err error) {
	var more string
	n, _ := fmt.Sscanf(text, "%d/%d%s", &s.Index, &s.Of, &more)
	if n != 2 || s.Of < 1 || s.Index < 1 || s.Index > s.Of || text != s.String() {
		return Shard{}, fmt.Errorf("%q is no share; write i/n with i from 1 to n, such as 2/8", text)
	}
	return s, nil
}

func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Of) }

// has reports whether the i-th item, counted from 0, is in the share.
func (s Shard) has(i int) bool { return i%s.Of == s.Index-1 }

// Word is how a case or the whole ended.
type Word string

// The words.
const (
	Pass    Word = "pass"
	Fail    Word = "fail"
	Skipped Word = "skipped"
	Crashed Word = "engine-failed"
)

// Result is what came of one case or golden.
type Result struct {
	Index    int       `json:"index"` // in the matrix: cases, then goldens
	Name     string    `json:"name"`
	Line     int       `json:"line"` // in the matrix
	Verdict  Word      `json:"verdict"`
	Reason   string    `json:"reason,omitempty"` // why it was skipped
	Problems []Problem `json:"problems"`
	Notes    []string  `json:"notes"`
	Rerun    string    `json:"reproduce"`
	Files    string    `json:"files,omitempty"` // folder of the full report
	Seconds  float64   `json:"seconds"`

	// Nearest is the op that is nearest to its allowance, Growth the one that
	// grew most over the baseline.
	Nearest Nearest `json:"nearest"`
	Growth  Growth  `json:"growth"`

	record *Record // what a new baseline would say of the case
	golden string  // the file of a new golden
}

// Nearest is the op of a case that is nearest to its allowance.
type Nearest struct {
	Tap       string        `json:"tap,omitempty"`
	OpOurs    report.Number `json:"op_ours"`
	Allowance report.Number `json:"allowance"`
}

// Growth is the op of a case whose error grew most.
type Growth struct {
	Tap   string        `json:"tap,omitempty"` // "" when none is above its floor
	Times report.Number `json:"times"`
}

// failing are the problems that no waiver covers.
func (r *Result) failing() []Problem {
	var list []Problem
	for _, p := range r.Problems {
		if p.Waiver == nil {
			list = append(list, p)
		}
	}
	return list
}

// settle gives the result its verdict.
func (r *Result) settle() {
	switch failing := r.failing(); {
	case r.Verdict == Skipped:
	case len(failing) == 0:
		r.Verdict = Pass
	case failing[0].Kind == Died:
		r.Verdict = Crashed
	default:
		r.Verdict = Fail
	}
}

// all is cases and goldens.
func (p *Part) all() []*Result {
	var list []*Result
	for i := range p.Cases {
		list = append(list, &p.Cases[i])
	}
	for i := range p.Goldens {
		list = append(list, &p.Goldens[i])
	}
	return list
}

// count is how many cases and goldens ended in a word.
func (p *Part) count(w Word) int {
	n := 0
	for _, r := range p.all() {
		if r.Verdict == w {
			n++
		}
	}
	return n
}

// Encode writes the part as JSON, a line per key and per problem.
func (p *Part) Encode(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(p)
}

// ReadPart reads a part's file. The error is an [InputError] where the text is
// to blame.
func ReadPart(path string) (*Part, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("part: %w; give the gate.json of each shard", err)
	}
	return ParsePart(path, text)
}

// ParsePart reads a part from the text of the file named path.
func ParsePart(path string, text []byte) (*Part, error) {
	bad := func(line int, format string, args ...any) error {
		return &InputError{path, line, fmt.Sprintf(format, args...) + "; give the gate.json that `attndiff gate` wrote"}
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	p := &Part{}
	if err := dec.Decode(p); err != nil {
		at := dec.InputOffset()
		var syntax *json.SyntaxError
		var typ *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			at = syntax.Offset
		case errors.As(err, &typ):
			at = typ.Offset
		}
		return nil, bad(1+bytes.Count(text[:min(at, int64(len(text)))], []byte("\n")), "not a part: %v", err)
	}
	switch {
	case p.Schema != schema:
		return nil, bad(0, "schema %d, want %d", p.Schema, schema)
	case p.Shard.Of < 1 || p.Shard.Index < 1 || p.Shard.Index > p.Shard.Of || p.Total < 0:
		return nil, bad(0, "shard %d/%d of %d", p.Shard.Index, p.Shard.Of, p.Total)
	}
	for _, r := range p.all() {
		for i := range r.Problems {
			if w := r.Problems[i].Waiver; w != nil && (*w < 0 || *w >= len(p.Known)) {
				return nil, bad(0, "%s: waiver %d of %d", r.Name, *w, len(p.Known))
			}
		}
	}
	return p, nil
}
