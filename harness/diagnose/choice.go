package diagnose

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"attndiff/harness/verdict"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// scene is what a greedy choice was made from: a step's logits [T,V], those of
// the step before (nil at step 0), and the choice.
type scene struct {
	rows, before [][]float32
	chosen       int32
}

// last is the row that the choice is to be made from.
func (s scene) last() []float32 { return s.rows[len(s.rows)-1] }

// slip is one way to choose wrongly. choose returns -1 where it cannot be made.
type slip struct {
	id, title, fix string
	choose         func(s scene) int32
}

// among is the greedy choice among the ids for which keep holds.
func among(logits []float32, keep func(v int) bool) int32 {
	kept := slices.Clone(logits)
	for v := range kept {
		if !keep(v) {
			kept[v] = float32(math.Inf(-1))
		}
	}
	return trace.Greedy(kept)
}

// greedyOf is the greedy choice of the logits with a function applied.
func greedyOf(logits []float32, f func(float32) float32) int32 {
	out := make([]float32, len(logits))
	for i, v := range logits {
		out[i] = f(v)
	}
	return trace.Greedy(out)
}

// slips are the mistakes people make in a greedy choice, the common ones first.
func slips() []slip {
	const reduce = "Every thread's candidate enters the reduction once; lanes without one hold -Inf."
	const row = "Choose from the step's last row of logits."
	negated := func(v float32) float32 { return -v }
	list := []slip{
		{"choice-from-first-row", "the choice is made from the step's first row of logits", row,
			func(s scene) int32 { return trace.Greedy(s.rows[0]) }},
		{"choice-from-row-before-last", "the choice is made from the row before the last", row,
			func(s scene) int32 {
				if len(s.rows) < 2 {
					return -1
				}
				return trace.Greedy(s.rows[len(s.rows)-2])
			}},
		{"choice-stale", "the choice is the step before's", "Wait for this step's logits before choosing, and choose in every step.",
			func(s scene) int32 {
				if s.before == nil {
					return -1
				}
				return trace.Greedy(s.before[len(s.before)-1])
			}},
		{"choice-smallest", "the smallest logit is chosen", "Compare with > and start from -Inf.",
			func(s scene) int32 { return greedyOf(s.last(), negated) }},
		{"choice-largest-magnitude", "the logit of the largest magnitude is chosen", "Compare values, not magnitudes.",
			func(s scene) int32 {
				return greedyOf(s.last(), func(v float32) float32 { return float32(math.Abs(float64(v))) })
			}},
		{"choice-above-zero", "the largest logit above zero is chosen", "Start from -Inf, not from 0.",
			func(s scene) int32 { return greedyOf(s.last(), func(v float32) float32 { return max(v, 0) }) }},
		{"choice-last-of-equals", "of equal logits the last is chosen", "Of equal logits take the lowest id.",
			func(s scene) int32 {
				back := slices.Clone(s.last())
				slices.Reverse(back)
				return int32(len(back)) - 1 - trace.Greedy(back)
			}},
		{"choice-id-plus-1", "the id is one too high", "Ids count from 0.", func(s scene) int32 { return trace.Greedy(s.last()) + 1 }},
		{"choice-id-minus-1", "the id is one too low", "Ids count from 0.", func(s scene) int32 { return trace.Greedy(s.last()) - 1 }},
		{"choice-zero", "id 0 is chosen whatever the logits", "Check that the kernel runs and that its result is copied back.", func(scene) int32 { return 0 }},
	}
	for _, n := range blockSizes {
		list = append(list,
			slip{fmt.Sprintf("choice-within-first-%d", n), fmt.Sprintf("only the first %d logits are looked at", n), "Let each thread walk the row in strides of the block.",
				func(s scene) int32 { return among(s.last(), func(v int) bool { return v < n }) }},
			slip{fmt.Sprintf("choice-without-tail-of-%d", n), fmt.Sprintf("logits beyond the last whole block of %d are not looked at", n), "Bound the loop by the vocabulary.",
				func(s scene) int32 { return among(s.last(), func(v int) bool { return v < len(s.last())/n*n }) }},
			slip{fmt.Sprintf("choice-of-first-thread-of-%d", n), fmt.Sprintf("only the first thread of a block of %d enters the reduction", n), reduce,
				func(s scene) int32 { return among(s.last(), func(v int) bool { return v%n == 0 }) }},
		)
		for warps := 1; warps < n/32; warps++ {
			list = append(list, slip{fmt.Sprintf("choice-of-%d-of-%d-warps", warps, n/32),
				fmt.Sprintf("of a block of %d threads only the first %d of %d warps enter the reduction", n, warps, n/32), reduce,
				func(s scene) int32 { return among(s.last(), func(v int) bool { return v%n < 32*warps }) }})
		}
	}
	return list
}

// Choice explains greedy choices that ours' own logits refute; nil when there
// are none. A slip is proven when it gives every choice of the run and no other
// does; the residual is the share of steps whose choice it does not give.
func Choice(b Bench) (*Diagnosis, error) {
	if b.Ours == nil || len(b.Result.Choices) == 0 {
		return nil, nil
	}
	scenes, err := b.scenes()
	if err != nil {
		return nil, err
	}
	return explainChoices(scenes, len(b.Result.Choices)), nil
}

// explainChoices tries every slip on the scenes, of which so many chose wrongly.
func explainChoices(scenes []scene, wrong int) *Diagnosis {
	type tried struct {
		slip
		residual float64
	}
	var list []tried
	for _, s := range slips() {
		missed := 0
		for _, at := range scenes {
			if s.choose(at) != at.chosen {
				missed++
			}
		}
		list = append(list, tried{s, float64(missed) / float64(len(scenes))})
	}
	slices.SortStableFunc(list, func(a, b tried) int { return cmp.Compare(a.residual, b.residual) })
	best, next := list[0], list[1]
	d := &Diagnosis{Tap: tap.ResultOutput, Evidence: []string{
		fmt.Sprintf("%d of %d greedy choices are not the index of the largest logit; the logits are judged by themselves",
			wrong, len(scenes))}}
	d.Cause = Cause{ID: "choice-unexplained", Title: "the greedy choice is wrong; no known mistake gives these ids", Status: Unexplained,
		Residual: math.NaN(), RunnerUp: best.id, RunnerUpResidual: best.residual}
	d.Fix = "Compare the kernel that chooses with its definition: the index of the largest logit of the step's last row, the lowest among equals."
	if best.residual > 0 {
		return d
	}
	d.Fix = best.fix
	d.Cause = Cause{ID: best.id, Title: best.title, Status: Proven, Residual: 0, RunnerUp: next.id, RunnerUpResidual: next.residual}
	if next.residual == 0 {
		d.Cause.Status = Likely
		d.Evidence = append(d.Evidence, fmt.Sprintf("%s gives the same ids in this run; more steps tell them apart", next.id))
	}
	return d
}

// scenes gathers every step of ours whose logits and choice are there.
func (b *Bench) scenes() ([]scene, error) {
	ids, err := b.Ours.Meta().Choices()
	if err != nil {
		return nil, err
	}
	var list []scene
	var before [][]float32
	for step, id := range ids {
		rows, err := verdict.Logits(b.Ours, step)
		if err != nil {
			return nil, err
		}
		if rows != nil {
			list = append(list, scene{rows, before, id})
		}
		before = rows
	}
	return list, nil
}
