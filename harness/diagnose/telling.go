package diagnose

import "slices"

// workOfTelling bounds what recomputing recordings may take to be asked of every
// mistake whether it changes anything, in nanoseconds.
const workOfTelling = 10e6

// telling are the recordings, as they should have been, of which a mistake
// changes at least one to be of any account: the smallest and, as a single
// token has no rows to mix up and the first layer none before it, as many
// others as are quickly recomputed, the largest first.
func (e *experiment) telling() []recording {
	list := []recording{e.sample[0].righted()}
	work := 0
	for _, r := range slices.Backward(e.sample[1:]) {
		if work += e.bench.cost(r.key, r.right.Inputs, r.right.Composed); work > workOfTelling {
			break
		}
		list = append(list, r.righted())
	}
	return list
}

// righted is the recording as it should have been.
func (r recording) righted() recording {
	r.got = r.right.Data
	return r
}
