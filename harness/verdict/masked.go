package verdict

import "attndiff/harness/oracle"

// skipMasked hears once more the voices that are finite where the oracle is
// not, by an oracle that leaves columns of probability 0 out of the weighted
// sum instead of multiplying what is not finite by 0: engines do either, and
// what comes out finite so is held to that. reqs are what the voices were asked.
func (j *judge) skipMasked(reqs []oracle.Request, voices []*voice) error {
	sem := oracle.Default(j.hp)
	sem.SkipsMasked = true
	skipping := oracle.New(j.weights, j.hp, sem)
	ours, ref := oracle.NewSide(j.ours, j.oursArith, nil), oracle.NewSide(j.ref, j.refArith, j.oursHas)
	var again []oracle.Request
	var at []int
	for i, v := range voices {
		if v.odd < 0 || !finite(v.got[v.odd]) {
			continue
		}
		side := ours
		if reqs[i].Side == j.refSide {
			side = ref
		}
		again, at = append(again, oracle.Request{Side: side, Key: reqs[i].Key}), append(at, i)
	}
	if len(again) == 0 {
		return nil
	}
	values, err := skipping.Eval(again)
	if err != nil {
		return err
	}
	turned, err := skipping.Turned(again, values)
	if err != nil {
		return err
	}
	for i, v := range values {
		voices[at[i]].excuse(v, turned[i])
	}
	return nil
}

// excuse takes another oracle's value where the voice is finite and its own
// oracle is not.
func (v *voice) excuse(other oracle.Value, turned []float64) {
	for i, x := range v.got {
		if !finite(x) || finite(v.want.Data[i]) || !finite(other.Data[i]) {
			continue
		}
		v.want.Data[i], v.want.Noise[i] = other.Data[i], other.Noise[i]
		if v.turned != nil {
			v.turned[i] = turned[i]
		}
	}
	v.opError = compare(v.got, v.dtype, v.want, v.turned)
}
