package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"attndiff/harness/diagnose"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// Finding is one wrong op, across the layers and steps it shows in.
type Finding struct {
	ID        string   `json:"id"`
	Tap       string   `json:"tap"`
	Layers    []int    `json:"layers"` // empty for taps that exist once per step
	Steps     []int    `json:"steps"`
	Severity  Severity `json:"severity"`
	Cause     Cause    `json:"cause"`
	Evidence  Evidence `json:"evidence"`
	Where     Place    `json:"where"`
	Reference Symbol   `json:"reference_code"`
	Fix       string   `json:"fix"`
}

// Severity says what a finding means to whoever runs the model.
type Severity string

// The severities, worst first. An op's error is an NMSE, the square of its
// relative error: 1e-2 is 10 % of the signal, 1e-4 is 1 %.
const (
	Critical Severity = "critical" // 10 % or more, or not finite; or 1 % or more and the generated tokens change
	High     Severity = "high"     // 1 % or more
	Medium   Severity = "medium"   // less, and still more than rounding explains
)

// Errors from which a finding is critical by itself, and high.
const (
	criticalError = 1e-2
	highError     = 1e-4
)

// severity grades an op by its worst error, an NMSE, and by whether ours'
// tokens differ from the reference's.
func severity(nmse float64, tokensDiffer bool) Severity {
	switch {
	case !(nmse < criticalError):
		return Critical
	case nmse < highError:
		return Medium
	case tokensDiffer:
		return Critical
	}
	return High
}

// Cause is what made the op wrong, and how sure that is.
type Cause struct {
	ID               string `json:"id"`
	Title            string `json:"title"`
	Status           string `json:"status"` // "proven", "likely" or "unexplained"
	Residual         Number `json:"residual"`
	RunnerUp         string `json:"runner_up"`
	RunnerUpResidual Number `json:"runner_up_residual"`
}

// Unexplained is the cause of an op that is known to be wrong and not why.
func Unexplained(t tap.Tap) Cause {
	nan := Number(math.NaN())
	return Cause{ID: "unexplained", Title: fmt.Sprintf("%s is wrong; no known mistake was matched to it", t),
		Status: "unexplained", Residual: nan, RunnerUpResidual: nan}
}

// Evidence is the finding's worst recording in numbers.
type Evidence struct {
	Step       int      `json:"step"`
	Layer      *int     `json:"layer"`
	Index      []int    `json:"index"`
	Ours       Number   `json:"ours"`
	Reference  Number   `json:"reference"`
	Oracle     Number   `json:"oracle"`
	Drift      Number   `json:"drift"`
	OpOurs     Number   `json:"op_ours"`
	OpRef      Number   `json:"op_ref"`
	Allowance  Number   `json:"allowance"`
	Recordings int      `json:"recordings"`         // how many recordings of this tap are wrong
	Of         int      `json:"of"`                 // out of how many
	Composed   []string `json:"composed,omitempty"` // taps ours did not record, recomputed on the way
	Why        string   `json:"why"`
	Observed   []string `json:"observed"` // what the difference looks like, in plain words
}

// Place is a kernel of ours; all null when ours is somebody else's engine.
type Place struct {
	File     *string `json:"file"`
	Line     *int    `json:"line"`
	Function *string `json:"function"`
}

// Symbol is the matching place in llama.cpp: the line of its graph that calls
// for the op, in Arithmetic the function that computes it on the CPU and in CUDA
// what does on a GPU, whichever the reference ran on. The line is null when the
// reference is not llama.cpp; all is when the sources are not on this machine.
// Files are relative to the Go module that carries llama.cpp.
type Symbol struct {
	File       *string  `json:"file"`
	Line       *int     `json:"line"`
	Symbol     *string  `json:"symbol"`
	Snippet    []string `json:"snippet,omitempty"`
	Note       string   `json:"note,omitempty"` // what the snippet does not say by itself
	Arithmetic *Symbol  `json:"arithmetic,omitempty"`
	CUDA       *Symbol  `json:"cuda,omitempty"`
}

// finding describes one group of introduced recordings of one tap.
func finding(group []verdict.Tap, of int, in *Input) Finding {
	t := group[0].Key.Tap
	worst := slices.MaxFunc(group, func(a, b verdict.Tap) int { return byError(&a, &b) })
	f := Finding{
		ID: t.String(), Tap: t.String(), Layers: []int{},
		Severity: severity(opError(&worst), in.tokensDiffer()),
		Cause:    Unexplained(t),
		Evidence: evidence(&worst, len(group), of),
		Fix: fmt.Sprintf("Compare the code that computes %s with its definition: recomputed from its own recorded inputs it comes out different, so the mistake is in this op and not upstream.",
			t),
	}
	for _, r := range group {
		f.Steps = append(f.Steps, r.Key.Step)
		if r.Key.Layer >= 0 {
			f.Layers = append(f.Layers, r.Key.Layer)
		}
	}
	f.Steps, f.Layers = sorted(f.Steps), sorted(f.Layers)
	for _, d := range in.Diagnoses {
		if d.Tap == t {
			f.diagnosed(d)
		}
	}
	if in.Locate != nil {
		f.Where = in.Locate(t, in.tokens(f.Steps[0]))
	}
	if in.Match != nil {
		f.Reference = in.Match(t, worst.Composed)
	}
	return f
}

// tokens is how many tokens ours was fed in a step, 1 beyond the run.
func (in *Input) tokens(step int) int {
	if in.Run == nil || in.Run.Ours == nil || step < 0 || step >= len(in.Run.Ours.Meta.Steps) {
		return 1
	}
	return in.Run.Ours.Meta.Steps[step]
}

// diagnosed adds what experiments found out.
func (f *Finding) diagnosed(d diagnose.Diagnosis) {
	f.Cause = Cause{
		ID: d.Cause.ID, Title: d.Cause.Title, Status: string(d.Cause.Status), Residual: Number(d.Cause.Residual),
		RunnerUp: d.Cause.RunnerUp, RunnerUpResidual: Number(d.Cause.RunnerUpResidual),
	}
	f.Evidence.Observed = list(d.Evidence)
	if d.Fix != "" {
		f.Fix = d.Fix
	}
}

func evidence(w *verdict.Tap, recordings, of int) Evidence {
	e := Evidence{
		Step: w.Key.Step, Layer: layer(w.Key), Index: list(w.Peak.Index),
		Ours: Number(w.Peak.Ours), Reference: Number(w.Peak.Reference), Oracle: Number(w.Peak.Oracle),
		Drift: drift(w), OpOurs: Number(w.OpOurs), OpRef: Number(w.OpRef), Allowance: Number(w.Allowance),
		Recordings: recordings, Of: of, Why: w.Why, Observed: []string{},
	}
	for _, c := range w.Composed {
		e.Composed = append(e.Composed, c.String())
	}
	return e
}

// opError is what the op got wrong: its own error, or without an oracle the
// drift that first showed at it. NaN when nothing finite is known.
func opError(t *verdict.Tap) float64 {
	if math.IsNaN(t.OpOurs) && t.HasDrift {
		return t.Drift.NMSE
	}
	return t.OpOurs
}

// byError orders judgements by how far the op's error exceeds its allowance;
// NaN, which no allowance covers, is the largest.
func byError(a, b *verdict.Tap) int {
	excess := func(t *verdict.Tap) float64 {
		x := opError(t) / t.Allowance
		switch {
		case opError(t) == 0:
			return 0
		case math.IsNaN(x):
			return math.Inf(1)
		}
		return x
	}
	return cmp.Compare(excess(a), excess(b))
}

// sorted returns the distinct elements in order.
func sorted(list []int) []int {
	slices.Sort(list)
	return slices.Compact(list)
}
