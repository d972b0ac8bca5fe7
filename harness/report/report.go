package report

import (
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/trace"
)

// Schema is the version of report.json.
const Schema = 1

// Report is report.json.
type Report struct {
	Schema    int             `json:"schema"`
	Verdict   verdict.Outcome `json:"verdict"`
	Model     Model           `json:"model"`
	Prompt    Prompt          `json:"prompt"`
	Reference Engine          `json:"reference"`
	Ours      Engine          `json:"ours"`
	Text      Pair[string]    `json:"text"`   // what each side says after step 0
	Tokens    Pair[[]int32]   `json:"tokens"` // the same as ids
	First     *Divergence     `json:"first_divergence"`
	Findings  []Finding       `json:"findings"`
	Taps      []Tap           `json:"taps"`
	Timing    Timing          `json:"timing"`

	Notes         []string         `json:"notes"`             // what a reader must know before the verdict
	Unstable      []Unstable       `json:"unstable"`          // recordings that differ between repeated runs
	Growth        []Growth         `json:"growth"`            // of the drift over the layers of the prefill, at parity
	Oracle        bool             `json:"oracle"`            // whether ops were judged, or drift alone
	NotObservable []Limit          `json:"not_observable"`    // mistakes that this run could not have shown
	Cleared       []Cleared        `json:"cleared"`           // odd in ours, and in the reference too
	Failure       *session.Failure `json:"failure,omitempty"` // with verdict engine-failed
	Rerun         string           `json:"reproduce"`         // the command that gives this report again
}

// Timing is seconds by stage: "reference", "ours", "compare", "total", and
// each pass of an engine as "ours.record".
type Timing map[string]float64

// Model is the model both sides ran.
type Model struct {
	trace.Hparams
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// Prompt is what both sides were given first. Name is empty for a text, a file
// or ids given by hand.
type Prompt struct {
	Name   string  `json:"name"`
	Text   string  `json:"text"`
	Tokens []int32 `json:"tokens"`
}

// Engine is one side's engine. Faults is never null for ours and absent for
// the reference.
type Engine struct {
	Engine  string    `json:"engine"`
	Version string    `json:"version"`
	Device  string    `json:"device"`
	Faults  *[]string `json:"faults,omitempty"`
}

// Pair is the same thing for both sides.
type Pair[T any] struct {
	Reference T `json:"reference"`
	Ours      T `json:"ours"`
}

// Divergence is the first introduced op in execution order, with all three
// values at the worst place. Layer is null for taps that exist once per step.
type Divergence struct {
	Step      int    `json:"step"`
	Phase     string `json:"phase"` // "prefill" or "decode"
	Layer     *int   `json:"layer"`
	Tap       string `json:"tap"`
	Index     []int  `json:"index"`
	Ours      Number `json:"ours"`
	Reference Number `json:"reference"`
	Oracle    Number `json:"oracle"`
	Why       string `json:"why"`
}

// Tap is the judgement of one recording.
type Tap struct {
	Step      int            `json:"step"`
	Layer     *int           `json:"layer"`
	Tap       string         `json:"tap"`
	Shape     []int          `json:"shape"`
	Status    verdict.Status `json:"status"`
	Drift     Number         `json:"drift"`
	OpOurs    Number         `json:"op_ours"`
	OpRef     Number         `json:"op_ref"`
	Allowance Number         `json:"allowance"`
	Carried   Number         `json:"carried"` // drift that the inputs' drift alone makes
	MaxAbs    Number         `json:"max_abs"`
	Cos       Number         `json:"cos"`
	WorstRow  []int          `json:"worst_row"`
	Index     []int          `json:"index"` // where ours differs most from the oracle, without one from the reference
	NonFinite int            `json:"non_finite,omitempty"`
	Why       string         `json:"why,omitempty"`
}

// Growth is the drift after one layer of the prefill, and how much of it the
// ops' own errors explain so far.
type Growth struct {
	Layer     int    `json:"layer"`
	Drift     Number `json:"drift"`
	Explained Number `json:"explained"`
}

// Unstable is a recording that differed bitwise between identical runs.
type Unstable struct {
	Step  int    `json:"step"`
	Layer *int   `json:"layer"`
	Tap   string `json:"tap"`
	Runs  int    `json:"runs"` // repeated runs that differ from the first
}
