package verdict

import "attndiff/traces/tap"

// Status is what a recording of ours came out as.
type Status string

// The statuses; Legend explains them in one sentence each.
const (
	OK         Status = "ok"
	Inherited  Status = "inherited"
	Introduced Status = "introduced"
	Missing    Status = "missing"
	NoOracle   Status = "oracle-invalid"
)

// Legend explains each status in one sentence, in the order tables show them.
var Legend = []struct {
	Status Status
	Text   string
}{
	{Introduced, "this op is wrong: recomputed in float64 from its own recorded inputs it comes out different"},
	{Inherited, "this op is right; its inputs already differed from the reference"},
	{OK, "right, and as close to the reference as rounding allows"},
	{Missing, "ours did not record it and no composition across the gap could be judged"},
	{NoOracle, "the oracle disagrees with the reference itself here, so it does not judge ours"},
}

// Outcome is the run's verdict.
type Outcome string

// The outcomes, as report.json spells them.
const (
	Parity       Outcome = "parity"
	Divergence   Outcome = "divergence"
	EngineFailed Outcome = "engine-failed"
)

// Metrics compares two tensors of one shape element by element.
type Metrics struct {
	NMSE   float64 // sum (a-b)^2 / sum b^2
	MaxAbs float64 // largest |a-b|
	At     []int   // index of MaxAbs in the tap's shape
	A, B   float64 // both values at At
	Cos    float64 // cosine similarity; reported, never gating

	WorstRow     []int // leading indices of the row (token, head) with the largest NMSE
	WorstRowNMSE float64
	Channel      int     // index on the last axis of the channel with the largest energy in b
	ChannelNMSE  float64 // NMSE of that channel over all rows

	NaNA, InfA, NaNB, InfB int   // counts of each side
	FirstBad               []int // index of the first non-finite value of a, nil when there is none
}

// Tap is the judgement of one recording.
type Tap struct {
	Key    tap.Key
	Shape  []int // as ours recorded it
	Status Status

	Drift     Metrics // ours against the reference
	HasDrift  bool
	OpOurs    float64 // NaN when the oracle could not judge it
	OpRef     float64 // NaN when the reference did not record it
	Allowance float64 // what OpOurs may be
	Noise     float64 // variance derived for ours at this op, as an NMSE; 0 where nothing was derived
	Carried   float64 // drift that the inputs' drift alone makes; NaN when it is not known
	rounding  float64 // what both sides' arithmetic may add to it, in the same unit

	// Peak is where ours and the oracle (without one: ours and the reference)
	// differ most.
	Peak Peak

	// Blind is set when inputs were not finite, so that part of the tap, or all
	// of it, could not be judged.
	Blind bool

	// Far is set where too much was not recorded before the tap to be recomputed
	// ([Options.Reach]): drift alone judges it.
	Far bool

	Inputs   []tap.Key // recordings the oracle was computed from
	Composed []tap.Tap // taps in between that ours did not record, recomputed on the way
	Why      string    // one sentence, when Status is not OK: what rule broke, with its numbers
}

// Peak is one element of a tap in all three voices; a voice that is not there
// is NaN.
type Peak struct {
	Index                   []int
	Ours, Reference, Oracle float64
}

// Result is the judgement of a whole run.
type Result struct {
	Outcome Outcome
	Taps    []Tap    // execution order
	First   *Tap     // the first introduced op in execution order, nil at parity
	Notes   []string // what a reader must know: no oracle, taps absent, unstable taps
	Oracle  bool     // false when drift alone was judged
	// Unexplained is drift that no op is to blame for and that is more than the
	// ops' own errors explain; nil when there is none.
	Unexplained *Unexplained
	// Growth is how drift grows over the layers of the prefill, at parity.
	Growth  []Growth
	Choices []Choice // greedy choices of ours that its own logits refute
}

// Wrong returns the introduced recordings grouped by tap, in order of first
// appearance: one group per wrong op.
func (r *Result) Wrong() [][]Tap {
	var groups [][]Tap
	at := map[tap.Tap]int{}
	for _, t := range r.Taps {
		if t.Status != Introduced {
			continue
		}
		i, seen := at[t.Key.Tap]
		if !seen {
			i = len(groups)
			at[t.Key.Tap] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], t)
	}
	return groups
}
