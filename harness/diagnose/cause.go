package diagnose

import "attndiff/traces/tap"

// Status is how sure a cause is.
type Status string

// Proven: the hypothesis reproduces ours within the op's allowance, wherever the
// op is wrong (see proof), and the next best leaves at least separation times
// more; of several mistakes together, each says what the values are. Likely: the
// best by that margin, but above the allowance or short of the whole op. Else
// Unexplained.
const (
	Proven      Status = "proven"
	Likely      Status = "likely"
	Unexplained Status = "unexplained"
)

// separation is how many times worse the runner-up must be.
const separation = 10

// Cause is what made an op wrong.
type Cause struct {
	ID               string // of the hypothesis, two joined by "+" for a pair
	Title            string
	Status           Status
	Residual         float64 // NMSE between ours and the hypothesis
	RunnerUp         string  // "" when there was no other
	RunnerUpResidual float64
}

// Diagnosis explains one wrong op.
type Diagnosis struct {
	Tap   tap.Tap
	Cause Cause
	// Equal are the other causes that do as well on this run's data, by ID; a run
	// that shows more would tell them apart.
	Equal    []string
	Evidence []string // plain sentences, most telling first
	Fix      string   // what to change, as an engineer would say it
}
