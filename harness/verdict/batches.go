package verdict

import (
	"cmp"
	"slices"

	"attndiff/traces/tap"
)

// batchTokens is how many tokens of one tap are judged at a time: enough to
// read each weight once for all decode steps, little enough that memory does
// not grow with the trace.
const batchTokens = 64

// batches groups the recordings of ours: one tap of one layer, steps of at
// most batchTokens tokens together. The costly ones come first, so that no core
// is left alone with the logits' product; others in execution order of their
// first key.
func (j *judge) batches() [][]tap.Key {
	type group struct {
		layer int
		tap   tap.Tap
	}
	open := map[group]int{}
	tokens := map[group]int{}
	var all [][]tap.Key
	for _, k := range j.ours.Keys() {
		g := group{k.Layer, k.Tap}
		i, ok := open[g]
		t := j.ours.Dims(k.Step).T
		if !ok || tokens[g]+t > batchTokens {
			i, tokens[g] = len(all), 0
			open[g] = i
			all = append(all, nil)
		}
		tokens[g] += t
		all[i] = append(all[i], k)
	}
	if j.oracle != nil {
		slices.SortStableFunc(all, func(a, b []tap.Key) int { return cmp.Compare(j.cost(b), j.cost(a)) })
	}
	return all
}

// cost is how many multiplications it takes to judge a batch.
func (j *judge) cost(keys []tap.Key) float64 {
	sum := 0.0
	for _, k := range keys {
		sum += j.oracle.Cost(k, j.ours.Dims(k.Step))
	}
	return sum
}
