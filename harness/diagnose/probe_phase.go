package diagnose

import (
	"fmt"
	"math"
	"slices"

	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// phases says which recordings of the tap are wrong, when not all are: prefill
// or decode, some layers, from a cache length or a step on.
func phases(p *probe) []Clue {
	var right, wrong []verdict.Tap
	for _, t := range p.judged {
		switch t.Status {
		case verdict.Introduced:
			wrong = append(wrong, t)
		case verdict.OK, verdict.Inherited:
			if t.Drift.NaNA+t.Drift.InfA == 0 { // else there was nothing to judge
				right = append(right, t)
			}
		}
	}
	if len(right) == 0 || len(wrong) == 0 {
		return nil
	}
	var out []Clue
	say := func(format string, args ...any) {
		out = append(out, Clue{Kind: "only-when", Grade: When, Residual: math.NaN(), Text: fmt.Sprintf(format, args...)})
	}
	if layers := p.layerWords(those(right, wrong, sameStep), wrong); layers != "" {
		say("%s", layers)
	}
	right = those(right, wrong, sameLayer)
	if len(right) == 0 {
		return out
	}
	many := func(t verdict.Tap) bool { return p.tokens(t) > 1 }
	one := func(t verdict.Tap) bool { return p.tokens(t) == 1 }
	lo, hi := span(wrong, p.positions)
	rlo, rhi := span(right, p.positions)
	switch {
	case every(right, one) && every(wrong, many):
		say("wrong only in steps of several tokens (prefill), right in decode")
	case every(right, many) && every(wrong, one):
		say("right in prefill and wrong in decode")
	case rhi < lo:
		say("right up to %d positions, wrong from %d on%s", rhi, lo, crossed(rhi, lo))
	case hi < rlo:
		say("wrong up to %d positions, right from %d on%s", hi, rlo, crossed(hi, rlo))
	}
	return out
}

// tokens is how many tokens the recording's step has.
func (p *probe) tokens(t verdict.Tap) int {
	if k := slices.Index(t.Key.Tap.Axes(), "token"); k >= 0 && k < len(t.Shape) {
		return t.Shape[k]
	}
	return p.stepTokens(t.Key.Step)
}

// those keeps the recordings that have a wrong one to be compared with: of the
// same step when layers are compared, of the same layer when steps are.
func those(right, wrong []verdict.Tap, like func(a, b verdict.Tap) bool) []verdict.Tap {
	return slices.DeleteFunc(slices.Clone(right), func(t verdict.Tap) bool {
		return !slices.ContainsFunc(wrong, func(w verdict.Tap) bool { return like(t, w) })
	})
}

func sameStep(a, b verdict.Tap) bool  { return a.Key.Step == b.Key.Step }
func sameLayer(a, b verdict.Tap) bool { return a.Key.Layer == b.Key.Layer }

// stepTokens is how many tokens a step has, 0 beyond the run.
func (p *probe) stepTokens(step int) int {
	if step < 0 || step >= len(p.steps) {
		return 0
	}
	return p.steps[step]
}

// positions is how many positions the cache holds after the recording's step.
func (p *probe) positions(t verdict.Tap) int {
	n := 0
	for s := range t.Key.Step + 1 {
		n += p.stepTokens(s)
	}
	return n
}

// layerWords says which layers are wrong when some never are and the others are
// at some time.
func (p *probe) layerWords(right, wrong []verdict.Tap) string {
	bad, good := map[int]bool{}, map[int]bool{}
	for _, t := range wrong {
		bad[t.Key.Layer] = true
	}
	for _, t := range right {
		if !bad[t.Key.Layer] {
			good[t.Key.Layer] = true
		}
	}
	if len(good) == 0 || bad[tap.NoLayer] {
		return ""
	}
	var layers []int
	for l := range bad {
		layers = append(layers, l)
	}
	slices.Sort(layers)
	all := func(in func(l int) bool) bool {
		for l := range bad {
			if !in(l) {
				return false
			}
		}
		for l := range good {
			if in(l) {
				return false
			}
		}
		return true
	}
	from, last := layers[0], layers[len(layers)-1]
	switch {
	case len(layers) == 1:
		return fmt.Sprintf("wrong only in layer %d", from)
	case all(func(l int) bool { return l >= from }):
		return fmt.Sprintf("wrong only from layer %d on", from)
	case all(func(l int) bool { return l <= last }):
		return fmt.Sprintf("wrong only up to layer %d", last)
	case all(func(l int) bool { return l%2 == from%2 }):
		return fmt.Sprintf("wrong only in every second layer, from %d", from)
	}
	return fmt.Sprintf("wrong only in layers %v", layers)
}

// crossed names the power of two that lies between two lengths.
func crossed(below, above int) string {
	for _, n := range []int{16, 32, 64, 128, 256, 512, 1024, 2048, 4096} {
		if below <= n && n < above {
			return fmt.Sprintf(": it shows beyond %d", n)
		}
	}
	return ""
}

func every(taps []verdict.Tap, is func(verdict.Tap) bool) bool {
	return !slices.ContainsFunc(taps, func(t verdict.Tap) bool { return !is(t) })
}

// span is the smallest and largest figure of some recordings.
func span(taps []verdict.Tap, of func(verdict.Tap) int) (lo, hi int) {
	lo, hi = math.MaxInt, math.MinInt
	for _, t := range taps {
		lo, hi = min(lo, of(t)), max(hi, of(t))
	}
	return lo, hi
}
