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

// batch is what is judged at a time.
type batch struct {
	keys []tap.Key
	cost float64 // multiplications that recomputing it takes
}

// batches groups the recordings of ours: one tap of one layer, steps of at
// most batchTokens tokens together. The costly ones come first, so that no core
// is left alone with the logits' product; others in execution order of their
// first key.
func (j *judge) batches() []batch {
	type group struct {
		layer int
		tap   tap.Tap
	}
	open := map[group]int{}
	tokens := map[group]int{}
	var all []batch
	for _, k := range j.ours.Keys() {
		g := group{k.Layer, k.Tap}
		i, ok := open[g]
		t := j.ours.Dims(k.Step).T
		if !ok || tokens[g]+t > batchTokens {
			i, tokens[g] = len(all), 0
			open[g] = i
			all = append(all, batch{})
		}
		tokens[g] += t
		all[i].keys = append(all[i].keys, k)
		if j.oracle != nil {
			all[i].cost += j.oracle.Cost(k, j.ours.Dims(k.Step))
		}
	}
	slices.SortStableFunc(all, func(a, b batch) int { return cmp.Compare(b.cost, a.cost) })
	return all
}
