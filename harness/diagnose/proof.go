package diagnose

import (
	"fmt"
	"math"
	"slices"

	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// A cause is found on a few recordings; to be proven it must account for the
// whole op. It must hold in the wrong recordings that the sample left out, and
// what it leaves open must be less than what it tells, or be seen to be memory
// that the op did not write: a mistake that says only where ours is wrong, and
// not what it holds there, reproduces nothing.

// proof is what a cause shows of the whole op.
type proof struct {
	told, open int // wrong elements of the sample that it says the value of, and elements that it leaves open
	unwritten  bool
	held, rest int // recordings beyond the sample that it was held against, of how many
	failed     []tap.Key
}

// whole reports whether the cause accounts for the op.
func (p proof) whole() bool {
	return len(p.failed) == 0 && (p.open == 0 || p.told > p.open || p.unwritten)
}

// workOfProof bounds how many nanoseconds of one core holding a cause against
// what the sample left out may take.
const workOfProof = 4e9

// prove holds a cause that reproduces the sample against the whole op.
func (e *experiment) prove(c *candidate) (p proof, err error) {
	p = proof{told: c.told, open: c.open, rest: len(e.rest)}
	if p.open > 0 && p.told <= p.open {
		if p.unwritten, err = e.unwritten(c.variant); err != nil {
			return p, err
		}
	}
	rest := e.affordable(e.rest)
	p.held = len(rest)
	fails := make([]bool, len(rest))
	err = e.each(len(rest), func(i int) error {
		list, err := e.load(rest[i : i+1])
		if err != nil {
			return err
		}
		o, err := e.try(c.variant, list, math.Inf(1))
		fails[i] = !o.within
		return err
	})
	for i, bad := range fails {
		if bad {
			p.failed = append(p.failed, rest[i].Key)
		}
	}
	return p, err
}

// affordable spreads the work there may be evenly over recordings.
func (e *experiment) affordable(list []verdict.Tap) []verdict.Tap {
	const passes = 2 // the op as it should be, and as it was done
	total := 0.0
	for _, t := range list {
		total += passes * float64(e.bench.cost(t.Key, t.Inputs, t.Composed))
	}
	every := int(math.Ceil(total / workOfProof))
	if every <= 1 {
		return list
	}
	var kept []verdict.Tap
	for part := range slices.Chunk(list, every) {
		kept = append(kept, part[len(part)-1])
	}
	return kept
}

// evidence says what the proof lacks.
func (p proof) evidence() []string {
	var out []string
	if len(p.failed) > 0 {
		out = append(out, fmt.Sprintf("it does not reproduce %d of the other %d wrong recordings, %s the first: there is something else wrong there",
			len(p.failed), p.held, p.failed[0]))
	}
	switch {
	case p.open == 0 || p.told > p.open:
	case p.unwritten:
		out = append(out, fmt.Sprintf("the %d elements whose value it leaves open hold memory that nobody wrote, or numbers computed from it", p.open))
	default:
		out = append(out, fmt.Sprintf("it says the value of %d wrong elements and leaves %d open, which do not look like memory that nobody wrote",
			p.told, p.open))
	}
	if p.held < p.rest {
		out = append(out, fmt.Sprintf("held against %d of the %d other wrong recordings, spread over the run", p.held, p.rest))
	}
	return out
}
