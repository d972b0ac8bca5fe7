package report

import (
	"math"
	"slices"

	"attndiff/harness/diagnose"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// Input is everything a report is made of.
type Input struct {
	Run       *session.Run
	Result    *verdict.Result
	Name      string                            // of the prompt, "" when it has none
	Text      string                            // of the prompt, "" when it came as ids
	Faults    []string                          // planted in ours
	Diagnoses []diagnose.Diagnosis              // of the wrong ops
	Limits    []diagnose.Limit                  // what this run could not have shown
	Cleared   []diagnose.Suspicion              // what is odd and right
	Decode    func([]int32) string              // ids to text; nil without a model
	Locate    func(t tap.Tap, tokens int) Place // where ours computes a tap in a step of so many tokens; nil when ours is not ours
	Choice    *diagnose.Diagnosis               // of wrong greedy choices, nil when there are none

	// Match says where llama.cpp computes a tap, judged across taps that ours did
	// not record; may be nil.
	Match func(t tap.Tap, composed []tap.Tap) Symbol

	// Where ours and llama.cpp make the greedy choice; nil when they do not run.
	LocateChoice func() Place
	MatchChoice  func() Symbol

	Timing  Timing
	Command string // that gives this report again

	// What was asked for: all there is to tell of a run that failed.
	Model Model
	Sides Pair[session.Side]
}

// tokensDiffer reports whether both sides say different things.
func (in *Input) tokensDiffer() bool {
	return !slices.Equal(in.Run.Reference.Own, in.Run.Ours.Own)
}

// Build makes the report of a judged run.
func Build(in Input) *Report {
	ref, ours := in.Run.Reference, in.Run.Ours
	r := &Report{
		Schema:    Schema,
		Verdict:   in.Result.Outcome,
		Model:     Model{Hparams: ours.Meta.Hparams, Name: ours.Meta.ModelName, SHA256: ours.Meta.ModelSHA256},
		Prompt:    Prompt{Name: in.Name, Text: in.Text, Tokens: list(in.Run.Prompt)},
		Reference: engine(ref),
		Ours:      engine(ours),
		Tokens:    Pair[[]int32]{list(ref.Own), list(ours.Own)},
		Findings:  []Finding{},
		Taps:      make([]Tap, len(in.Result.Taps)),
		Timing:    in.Timing,
		Notes:     list(slices.Concat(in.Run.Notes, in.Result.Notes)),
		Unstable:  []Unstable{},
		Growth:    []Growth{},
		Oracle:    in.Result.Oracle,
		Rerun:     in.Command,

		NotObservable: limits(in.Limits),
		Cleared:       cleared(in.Cleared),
	}
	faults := list(in.Faults)
	r.Ours.Faults = &faults
	if in.Decode != nil {
		r.Text = Pair[string]{in.Decode(ref.Own), in.Decode(ours.Own)}
		if r.Prompt.Text == "" {
			r.Prompt.Text = in.Decode(in.Run.Prompt)
		}
	}
	for _, u := range in.Run.Unstable {
		r.Unstable = append(r.Unstable, Unstable{u.Key.Step, layer(u.Key), u.Key.Tap.String(), u.Runs})
	}
	counts := map[tap.Tap]int{}
	for _, g := range in.Result.Growth {
		r.Growth = append(r.Growth, Growth{g.Layer, Number(g.Drift), Number(g.Explained)})
	}
	for i := range in.Result.Taps {
		t := &in.Result.Taps[i]
		r.Taps[i] = row(t)
		counts[t.Key.Tap]++
	}
	for _, group := range in.Result.Wrong() {
		r.Findings = append(r.Findings, finding(group, counts[group[0].Key.Tap], &in))
	}
	if len(in.Result.Choices) > 0 {
		r.Findings = append(r.Findings, choice(&in))
	}
	r.warnings(&in)
	if f := in.Result.First; f != nil {
		r.First = first(f)
	}
	return r
}

// Failed makes the report of a run that an engine did not survive.
func Failed(f *session.Failure, in Input) *Report {
	faults := list(in.Faults)
	return &Report{
		Schema: Schema, Verdict: verdict.EngineFailed, Model: in.Model,
		Prompt:    Prompt{Name: in.Name, Text: in.Text, Tokens: []int32{}},
		Reference: Engine{Engine: in.Sides.Reference.String()},
		Ours:      Engine{Engine: in.Sides.Ours.String(), Faults: &faults},
		Tokens:    Pair[[]int32]{[]int32{}, []int32{}},
		Findings:  []Finding{}, Taps: []Tap{}, Timing: Timing{},
		Notes: []string{}, Unstable: []Unstable{}, Growth: []Growth{}, NotObservable: []Limit{}, Cleared: []Cleared{},
		Failure: f, Rerun: in.Command,
	}
}

func engine(r *session.Recording) Engine {
	return Engine{Engine: r.Meta.Engine, Version: r.Meta.EngineVersion, Device: r.Meta.Device}
}

func row(t *verdict.Tap) Tap {
	out := Tap{
		Step: t.Key.Step, Layer: layer(t.Key), Tap: t.Key.Tap.String(), Shape: list(t.Shape), Status: t.Status,
		Drift: drift(t), OpOurs: Number(t.OpOurs), OpRef: Number(t.OpRef), Allowance: Number(t.Allowance), Carried: Number(t.Carried),
		MaxAbs: Number(math.NaN()), Cos: Number(math.NaN()),
		WorstRow: list(t.Drift.WorstRow), Index: list(t.Peak.Index),
		NonFinite: t.Drift.NaNA + t.Drift.InfA, Why: t.Why,
	}
	if t.HasDrift {
		out.MaxAbs, out.Cos = Number(t.Drift.MaxAbs), Number(t.Drift.Cos)
	}
	return out
}

func first(t *verdict.Tap) *Divergence {
	return &Divergence{
		Step: t.Key.Step, Phase: Phase(t.Key.Step), Layer: layer(t.Key), Tap: t.Key.Tap.String(),
		Index: list(t.Peak.Index), Ours: Number(t.Peak.Ours), Reference: Number(t.Peak.Reference),
		Oracle: Number(t.Peak.Oracle), Why: t.Why,
	}
}

// Phase names a step: step 0 is the prefill, all others decode one token.
func Phase(step int) string {
	if step == 0 {
		return "prefill"
	}
	return "decode"
}

// drift is NaN for a recording that the reference does not have.
func drift(t *verdict.Tap) Number {
	if !t.HasDrift {
		return Number(math.NaN())
	}
	return Number(t.Drift.NMSE)
}

// layer is null for taps that exist once per step.
func layer(k tap.Key) *int {
	if k.Layer < 0 {
		return nil
	}
	return &k.Layer
}

// list makes nil an empty list, so that JSON says [] and not null.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
