package report

import (
	"fmt"
	"math"

	"attndiff/traces/tap"
)

// choiceID is the finding of wrong greedy choices. They have no tap of their
// own; the finding stands at result_output, which they are made from.
const choiceID = "greedy_choice"

// choice describes greedy choices of ours that its own logits refute.
func choice(in *Input) Finding {
	wrong := in.Result.Choices
	first, nan := wrong[0], Number(math.NaN())
	f := Finding{
		ID: choiceID, Tap: tap.ResultOutput.String(), Layers: []int{}, Severity: Critical,
		Cause: Cause{ID: "choice-unexplained", Title: "the greedy choice is not the index of the largest logit", Status: "unexplained",
			Residual: nan, RunnerUpResidual: nan},
		Evidence: Evidence{
			Step: first.Step, Index: []int{first.Row, int(first.Chosen)}, Ours: Number(first.ChosenLogit),
			Reference: nan, Oracle: nan, Drift: nan, OpOurs: nan, OpRef: nan, Allowance: nan,
			Recordings: len(wrong), Of: len(in.Run.Ours.Meta.Steps), Why: first.Why(), Observed: []string{},
		},
		Fix: fmt.Sprintf("Compare what chooses from %s with its definition: the index of the largest logit of the step's last row.", tap.ResultOutput),
	}
	for _, c := range wrong {
		f.Steps = append(f.Steps, c.Step)
	}
	if in.Choice != nil {
		f.diagnosed(*in.Choice)
	}
	if in.LocateChoice != nil {
		f.Where = in.LocateChoice()
	}
	if in.MatchChoice != nil {
		f.Reference = in.MatchChoice()
	}
	return f
}
