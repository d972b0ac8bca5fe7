package oracle

import (
	"cmp"
	"slices"

	"attndiff/traces/tap"
)

// fetch loads a recording or recomputes it for the sake of above. A variant
// may have an op read what is computed from that op's own result; where the
// result is not recorded there is nothing to start from. Nor is it tried where
// more than [Reach] was not recorded.
func (o *Oracle) fetch(s *Side, k tap.Key, above *evaluation) (derived, error) {
	if s.has(k) {
		return s.load(k)
	}
	if d, ok := s.held.get(k); ok {
		return d, nil
	}
	for e := above; e != nil; e = e.above {
		if e.k == k {
			return derived{}, ErrNotApplicable
		}
	}
	if asked := above != nil && above.above == nil; asked && !o.variant.none() && o.Far([]Request{{s, k}}) {
		return derived{}, ErrNotApplicable
	}
	var d derived
	var err error
	if weightOf(k) != "" {
		var batch []derived
		if batch, err = o.evalLinear([]Request{{s, k}}, above); err == nil {
			d = batch[0]
		}
	} else {
		d, err = o.eval(s, k, above)
	}
	if err != nil {
		return derived{}, err
	}
	return s.remember(k, d), nil
}

// bridge recomputes what the requests read and their sides did not record,
// layer by layer and each layer's taps for all steps at once, so that a weight
// is read once however many steps need it. Of layers that are done only what
// later steps and layers read stays. One gap is bridged at a time; release
// ends it and drops what the requests alone needed.
func (o *Oracle) bridge(reqs []Request) (release func(), err error) {
	release = func() {}
	if !o.variant.none() || len(o.gap(reqs)) == 0 {
		return release, nil // a variant reads what it likes: as it goes
	}
	o.bridging.Lock()
	sides := map[*Side]bool{}
	for _, r := range reqs {
		sides[r.Side] = true
	}
	release = func() {
		for s := range sides {
			s.held.passed(o.hp.NLayer)
		}
		o.bridging.Unlock()
	}
	for group := range batches(o.gap(reqs)) {
		results, err := o.evalAll(group)
		if err != nil {
			return release, err
		}
		for i, r := range group {
			r.Side.remember(r.Key, results[i])
			r.Side.held.passed(r.Key.Layer)
		}
	}
	return release, nil
}

// gap lists what the requests read, directly or not, that is neither recorded
// nor held: by layer, then tap, then step.
func (o *Oracle) gap(reqs []Request) []Request {
	seen := map[Request]bool{}
	var missing []Request
	for todo := slices.Clone(reqs); len(todo) > 0; {
		r := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, k := range o.inputs(r.Side, r.Key) {
			in := Request{r.Side, k}
			if seen[in] || r.Side.has(k) || r.Side.held.has(k) {
				continue
			}
			seen[in] = true
			missing = append(missing, in)
			todo = append(todo, in)
		}
	}
	slices.SortFunc(missing, func(a, b Request) int {
		return cmp.Or(cmp.Compare(stage(a.Key), stage(b.Key)), cmp.Compare(a.Key.Tap, b.Key.Tap), cmp.Compare(a.Key.Step, b.Key.Step))
	})
	return missing
}

// Far reports whether what the requests read, directly or not, and their sides
// did not record takes more to recompute than is worth it.
func (o *Oracle) Far(reqs []Request) bool { return o.gapCost(reqs) > o.reach }

// gapCost is how many multiplications that takes.
func (o *Oracle) gapCost(reqs []Request) float64 {
	cost := 0.0
	for _, r := range o.gap(reqs) {
		cost += o.Cost(r.Key, r.Side.trace.Dims(r.Key.Step))
	}
	return cost
}

// Cost is how many multiplications one op takes: those of a matrix product,
// beside which other ops cost little and count as none.
func (o *Oracle) Cost(k tap.Key, d tap.Dims) float64 {
	switch shape, product := o.weights.Shape(o.resolve(weightOf(k))); {
	case k.Tap == tap.KQ || k.Tap == tap.KQV:
		return float64(d.T) * float64(d.C()) * float64(d.H*d.D)
	case product:
		return float64(d.T) * float64(shape[0]) * float64(shape[1])
	}
	return 0
}

// stage orders keys of several steps by layer.
func stage(k tap.Key) int {
	switch {
	case k.Tap == tap.InpEmbd:
		return -1
	case k.Tap.PerLayer():
		return k.Layer
	}
	return int(^uint(0) >> 1)
}

// bridgeRows is how many rows of one tap are recomputed at a time, whole steps.
const bridgeRows = 256

// batches cuts an ordered list into groups of one tap and layer.
func batches(ordered []Request) func(yield func([]Request) bool) {
	return func(yield func([]Request) bool) {
		for lo := 0; lo < len(ordered); {
			hi, rows := lo, 0
			first := ordered[lo].Key
			for hi < len(ordered) && ordered[hi].Key.Tap == first.Tap && ordered[hi].Key.Layer == first.Layer && (hi == lo || rows < bridgeRows) {
				rows += ordered[hi].Side.trace.Dims(ordered[hi].Key.Step).T
				hi++
			}
			if !yield(ordered[lo:hi]) {
				return
			}
			lo = hi
		}
	}
}

// inputs lists what the op at k reads on a side: as [Inputs], but past biases
// that the model does not have, and for a cache whose earlier states were not
// recorded the rows that made them.
func (o *Oracle) inputs(s *Side, k tap.Key) []tap.Key {
	switch k.Tap {
	case tap.QRope:
		return []tap.Key{o.biased(k, tap.QProj, tap.QBias, "attn_q")}
	case tap.KRope:
		return []tap.Key{o.biased(k, tap.KProj, tap.KBias, "attn_k")}
	case tap.KCache, tap.VCache:
		var keys []tap.Key
		for step := k.Step; ; step-- {
			keys = append(keys, o.written(tap.At(step, k.Layer, k.Tap)))
			old := tap.At(step-1, k.Layer, k.Tap)
			if step == 0 || s.has(old) {
				return keys // a recorded state is no gap
			}
		}
	}
	return Inputs(k, o.hp.NLayer)
}

// written is the tap whose rows a step writes to a cache.
func (o *Oracle) written(k tap.Key) tap.Key {
	if k.Tap == tap.KCache {
		return tap.At(k.Step, k.Layer, tap.KRope)
	}
	return o.biased(k, tap.VProj, tap.VBias, "attn_v")
}
