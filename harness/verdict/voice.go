package verdict

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// voice is one side at one recording: what it recorded, and what the oracle
// makes of the inputs it recorded.
type voice struct {
	got    []float64
	want   oracle.Value
	turned []float64 // [oracle.Oracle.Turned], nil where no cache was composed
	*opError
}

// hear reads a recording and measures it against the oracle's value.
func hear(r *trace.Reader, a oracle.Arithmetic, k tap.Key, want oracle.Value, turned []float64) (*voice, error) {
	info, _ := r.Info(k)
	got, err := r.Float64(k, nil)
	if err != nil {
		return nil, err
	}
	return &voice{got, want, turned, compare(got, stored(a, info.DType, got), want, turned)}, nil
}

// judge judges one recording against the oracle. ref is nil when the reference
// has no such recording.
func (t *Tap) judge(own, ref *voice) {
	want := own.want
	t.Inputs, t.Composed, t.OpOurs, t.Blind = want.Inputs, want.Composed, own.nmse(), own.blind
	t.Noise = ratio(own.noise, own.energy)
	t.Peak.Index = unravel(own.peak, want.Shape)
	if len(own.got) > 0 {
		t.Peak.Ours, t.Peak.Oracle = own.got[own.peak], want.Data[own.peak]
	}
	var measured *opError
	if ref != nil {
		measured = ref.opError
		t.OpRef, t.Peak.Reference = ref.nmse(), ref.got[own.peak]
		t.Carried, t.rounding = carried(own, ref), ratio(own.noise+ref.noise, energy(ref.got))
		if !ref.valid() {
			t.Status, t.Allowance = NoOracle, oracle.Confidence*ratio(ref.noise, ref.energy)
			t.Why = fmt.Sprintf("oracle not valid for this model at tap %s: the reference itself differs by NMSE %.3g, allowed %.3g",
				t.Key.Tap, ref.nmse(), t.Allowance)
			switch {
			case ref.broken != "":
				t.Why += "; " + ref.broken
			case ref.odd >= 0:
				t.Why += fmt.Sprintf("; at %v it has %v, the oracle %v", unravel(ref.odd, want.Shape), ref.got[ref.odd], ref.want.Data[ref.odd])
			}
			return
		}
	}
	t.Allowance, t.Why = check(own.opError, measured)
	if t.Why == "" && t.Key.Tap == tap.KQSoftMax {
		t.Why = own.rowSums()
	}
	if own.odd >= 0 {
		at, x, y := unravel(own.odd, want.Shape), own.got[own.odd], want.Data[own.odd]
		t.Why = t.unlike(at, x, y)
		t.Peak = Peak{Index: at, Ours: x, Reference: math.NaN(), Oracle: y}
		if ref != nil {
			t.Peak.Reference = ref.got[own.odd]
		}
	}
	if t.Why != "" {
		t.Status = Introduced
	}
}

// carried is the drift that an op passes on: the NMSE between what the oracle
// makes of ours' inputs and of the reference's, in units of the reference.
func carried(own, ref *voice) float64 {
	sum := 0.0
	for i, y := range ref.want.Data {
		if x := own.want.Data[i]; finite(x) && finite(y) {
			sum += (x - y) * (x - y)
		}
	}
	return ratio(sum, energy(ref.got))
}

// energy is the sum of squares.
func energy(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return sum
}

// rowSums checks that each softmax row sums to 1, as far as its elements'
// noise allows when all err the same way.
func (v *voice) rowSums() string {
	width := v.want.Shape[len(v.want.Shape)-1]
	for lo := 0; lo < len(v.got); lo += width {
		sum, slack := 0.0, 0.0
		for i := lo; i < lo+width; i++ {
			sum += v.got[i]
			slack += math.Sqrt(oracle.Confidence * (v.want.Noise[i] + oracle.StorageNoise(v.dtype, v.want.Data[i])))
		}
		if d := math.Abs(sum - 1); !(d <= slack) && finite(v.want.Data[lo]) {
			return fmt.Sprintf("row %v sums to %.9g, not 1", unravel(lo/width, v.want.Shape[:2]), sum)
		}
	}
	return ""
}
