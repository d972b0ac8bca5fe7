package diagnose

import (
	"cmp"
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
const workOfProof = 1e9

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
	err = e.bench.each(len(rest), func(i int) error {
		list, err := e.load(rest[i : i+1])
		if err != nil {
			return err
		}
		o, err := e.try(c.variant, c.on(list), math.Inf(1))
		fails[i] = !o.within
		return err
	})
	for i, bad := range fails {
		if bad {
			p.failed = append(p.failed, rest[i].Key)
		}
	}
	slices.SortFunc(p.failed, tap.Key.Compare)
	return p, err
}

// affordable are as many recordings as there may be work for, the cheapest first.
func (e *experiment) affordable(list []verdict.Tap) []verdict.Tap {
	const passes = 2 // the op as it should be, and as it was done
	cost := func(t verdict.Tap) int { return passes * e.bench.cost(t.Key, t.Inputs, t.Composed) }
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b verdict.Tap) int { return cmp.Compare(cost(a), cost(b)) })
	work := 0
	for i, t := range list {
		if work += cost(t); work > workOfProof {
			return list[:i]
		}
	}
	return list
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
		out = append(out, fmt.Sprintf("held against %d of the %d other wrong recordings, the smallest", p.held, p.rest))
	}
	return out
}
