package verdict

import (
	"fmt"
	"math"
	"slices"

	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Choice is a greedy choice that is not the index of the largest logit which
// the same engine recorded. The logits may be right: what chooses from them is
// an op without a tap of its own.
type Choice struct {
	Step                   int
	Row                    int // of result_output: the step's last
	Chosen, Best           int32
	ChosenLogit, BestLogit float64
}

// Why words the broken rule.
func (c Choice) Why() string {
	return fmt.Sprintf("the greedy choice after this step is token %d with a logit of %.6g; token %d has %.6g",
		c.Chosen, c.ChosenLogit, c.Best, c.BestLogit)
}

// Choices returns the greedy choices of a trace that are wrong by its own
// logits. A trace that does not tell its choices, or holds no logits of a step,
// has none.
func Choices(r *trace.Reader) ([]Choice, error) {
	ids, err := r.Meta().Choices()
	if err != nil || ids == nil {
		return nil, err
	}
	var wrong []Choice
	for step, id := range ids {
		rows, err := Logits(r, step)
		if err != nil {
			return nil, err
		}
		if rows == nil {
			continue
		}
		logits := rows[len(rows)-1]
		c := Choice{Step: step, Row: len(rows) - 1, Chosen: id, Best: trace.Greedy(logits), ChosenLogit: math.NaN()}
		if id >= 0 && int(id) < len(logits) {
			c.ChosenLogit = float64(logits[id])
		}
		c.BestLogit = float64(logits[c.Best])
		if c.Chosen != c.Best {
			wrong = append(wrong, c)
		}
	}
	return wrong, nil
}

// Logits returns a step's rows of logits; nil when they were not recorded in
// the shape [T,V] that they have.
func Logits(r *trace.Reader, step int) ([][]float32, error) {
	k := tap.At(step, tap.NoLayer, tap.ResultOutput)
	info, ok := r.Info(k)
	d := r.Dims(step)
	if !ok || !slices.Equal(info.Shape, k.Tap.Shape(d)) || d.T*d.V == 0 {
		return nil, nil
	}
	all, err := r.Float32(k, nil)
	if err != nil {
		return nil, err
	}
	return slices.Collect(slices.Chunk(all, d.V)), nil
}

// choose lets wrong choices count.
func (r *Result) choose() {
	if len(r.Choices) == 0 {
		return
	}
	c := r.Choices[0]
	r.Break(tap.At(c.Step, tap.NoLayer, tap.ResultOutput), c.Why(),
		Peak{Index: []int{c.Row, int(c.Chosen)}, Ours: c.ChosenLogit, Reference: math.NaN(), Oracle: math.NaN()})
}
