package exam

import (
	"fmt"
	"math"

	"attndiff/harness/comparison"
	"attndiff/harness/verdict"
	"attndiff/ours/faults"
	"attndiff/traces/gguf"
	"attndiff/traces/half"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Truth is which ops of a run a fault makes wrong. It comes from replaying the
// run without the fault; neither the verdict's statuses nor the oracle have a
// say, only the allowance.
type Truth struct {
	Must []tap.Key // must be called wrong, in execution order
	May  []tap.Key // changed by about what rounding may: either answer is right
	Why  string    // why nothing must, when nothing does
}

// Shows reports whether the run can show the fault.
func (t Truth) Shows() bool { return len(t.Must) > 0 }

// certain is how far over the allowance an op is certain to be called wrong.
// The verdict holds ours against the oracle, the truth against the op done
// right, which itself lies within the allowance of the oracle: at four times
// the allowance, an error of twice the amplitude, what remains still exceeds
// it.
const certain = 4

// locate finds the ops that a fault changes in a judged run: others are the
// faults planted beside it.
func locate(model *gguf.File, others []faults.Fault, ordinary bool, run *comparison.Seen) (Truth, error) {
	allowed := map[tap.Key]float64{}
	for _, t := range run.Result.Taps {
		allowed[t.Key] = t.Allowance
	}
	var truth Truth
	var own, recorded []float32
	faint, blind := "", true
	err := replayed(model, run.Trace, others, ordinary, func(k tap.Key, dt trace.DType, shape []int, raw []byte) error {
		own = widen(own, dt, raw)
		var err error
		if recorded, err = run.Trace.Float32(k, recorded); err != nil {
			return err
		}
		c := compare(own, recorded, shape)
		blind = blind && c.blind
		if c.same {
			return nil
		}
		if !c.hides && c.nmse <= certain*allowed[k] {
			truth.May = append(truth.May, k)
			if faint == "" {
				faint = fmt.Sprintf("changes %s by %.1g, where rounding may be %.1g", k, c.nmse, allowed[k])
			}
			return nil
		}
		truth.Must = append(truth.Must, k)
		return nil
	})
	if err != nil || truth.Shows() {
		return truth, err
	}
	switch {
	case faint != "":
		truth.Why = faint
	case blind:
		truth.Why = "every value is NaN without it, from NaN that another fault makes"
	default:
		truth.Why = "changes no bit of the run"
	}
	return truth, nil
}

// widen reads what a device holds.
func widen(dst []float32, dt trace.DType, raw []byte) []float32 {
	n := len(raw) / dt.Size()
	if cap(dst) < n {
		dst = make([]float32, n)
	}
	dst = dst[:n]
	switch dt {
	case trace.F16:
		half.WidenF16(dst, raw)
	default:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(raw[4*i]) | uint32(raw[4*i+1])<<8 | uint32(raw[4*i+2])<<16 | uint32(raw[4*i+3])<<24)
		}
	}
	return dst
}

// change is how an op's result differs from the one recorded.
type change struct {
	same  bool    // bit for bit, and not finite in the same places
	hides bool    // the recording holds numbers where the op done right gives none
	blind bool    // it gives none anywhere
	nmse  float64 // of the recording against the op done right, where that gives numbers
}

// compare measures a recording against the op done right on the same inputs.
// Where the op done right gives NaN or an infinity, its inputs leave it no
// choice: a number there is a change, and so is the other infinity; which of
// NaN and an infinity it is says nothing.
func compare(right, recorded []float32, shape []int) change {
	if len(right) != len(recorded) {
		return change{nmse: math.Inf(1)}
	}
	c := change{same: true, blind: true}
	for i, want := range right {
		got := recorded[i]
		if finite(want) {
			c.blind = false
			c.same = c.same && want == got
			continue
		}
		nan := want != want || got != got
		if finite(got) || !nan && want != got {
			c.same, c.hides = false, true
		}
		right[i], recorded[i] = 0, 0
	}
	if !c.same {
		c.nmse = verdict.Measure(recorded, right, shape).NMSE
	}
	return c
}

func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }
