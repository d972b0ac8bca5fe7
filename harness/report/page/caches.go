package page

import (
	"attndiff/traces/tap"
)

// The largest pictures of the caches.
const (
	cacheWide   = 256 // positions
	cacheTall   = 96  // layers and heads
	cacheSteps  = 24  // steps of one head
	cacheLayers = 2   // layers drawn step by step
	cacheHeads  = 8   // heads of those
)

// cacheMap is how far one cache of ours is from the reference's, position by
// position.
type cacheMap struct {
	tap   tap.Tap
	rows  []cacheRow // one per layer and head, at the last drawn step
	whole *grid
	steps []int       // of the maps by step
	byOne []*cacheOne // the same for single layers, step by step
}

// cacheRow names a row of the whole map.
type cacheRow struct{ Layer, Head int }

// cacheOne is one layer's cache, head by head: step by position.
type cacheOne struct {
	layer int
	head  []*grid
}

// newCacheMap reads a cache of every layer at the last drawn step, and of the
// given layers at each of up to cacheSteps steps; nil when nothing can be
// compared.
func newCacheMap(r *reading, t tap.Tap, layers []int) (*cacheMap, error) {
	hp := r.ref.Meta().Hparams
	heads := hp.NHeadKV
	m := &cacheMap{tap: t}
	for layer := range hp.NLayer {
		if k := tap.At(r.last(), layer, t); r.usable(r.ours, k) && r.usable(r.ref, k) {
			for head := range heads {
				m.rows = append(m.rows, cacheRow{layer, head})
			}
		}
	}
	if len(m.rows) == 0 {
		return nil, nil
	}
	m.whole = newGrid(len(m.rows), r.columns, cacheTall, cacheWide)
	for i := 0; i < len(m.rows); i += heads {
		err := r.cacheErrors(tap.At(r.last(), m.rows[i].Layer, t), func(position, head int, e float32) {
			m.whole.put(i+head, position, []float32{e})
		})
		if err != nil {
			return nil, err
		}
	}
	for _, i := range spread(len(r.steps), cacheSteps) {
		m.steps = append(m.steps, r.steps[i])
	}
	m.steps[len(m.steps)-1] = r.last()
	for _, layer := range layers {
		one := &cacheOne{layer: layer}
		for range min(heads, cacheHeads) {
			one.head = append(one.head, newGrid(len(m.steps), r.columns, cacheSteps, cacheWide))
		}
		for i, step := range m.steps {
			err := r.cacheErrors(tap.At(step, layer, t), func(position, head int, e float32) {
				if head < len(one.head) {
					one.head[head].put(i, position, []float32{e})
				}
			})
			if err != nil {
				return nil, err
			}
		}
		m.byOne = append(m.byOne, one)
	}
	return m, nil
}

// cacheErrors reports the relative error of each position and head of one
// recording; of none when a side lacks it.
func (r *reading) cacheErrors(k tap.Key, report func(position, head int, e float32)) error {
	heads := r.ref.Meta().Hparams.NHeadKV
	var st stack
	return r.rows(k, func(row int, ours, ref []float32) {
		if ours != nil && ref != nil {
			report(row/heads, row%heads, float32(rms(st.difference(ours, ref))))
		}
	})
}

// cacheCost is the most that the cache maps take in the page.
func (s *source) cacheCost() int {
	hp := s.ref.Meta().Hparams
	wide := min(s.columns, cacheWide)
	whole := pictureBytes(min(hp.NLayer*hp.NHeadKV, cacheTall) * wide)
	one := min(hp.NHeadKV, cacheHeads) * (pictureBytes(min(len(s.steps), cacheSteps)*wide) + 600)
	return 2 * (whole + cacheLayers*one)
}
