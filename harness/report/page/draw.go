package page

import (
	"cmp"
	"fmt"
	"image/color"
	"runtime"
	"slices"
	"sync"

	"attndiff/traces/tap"
)

// draw reads what the plan chose and turns it into the view's pictures.
func (v *view) draw(s *source) error {
	chosen := plan(v.Report, s)
	left := map[tap.Tap]bool{}
	for _, t := range priority(v.Report, s) {
		left[t] = true
	}
	for _, c := range chosen {
		delete(left, c.tap)
	}
	slices.SortFunc(chosen, func(a, b choice) int { return cmp.Or(cmp.Compare(a.tap, b.tap), cmp.Compare(a.layer, b.layer)) })
	panels := make([]panel, len(chosen))
	err := each(len(chosen), s, func(i int, r *reading) error {
		st := s.newStack(chosen[i].tap, chosen[i].layer)
		if err := st.fill(r); err != nil {
			return err
		}
		panels[i] = st.panel(s)
		return nil
	})
	if err != nil {
		return err
	}
	v.Ops, v.Scores = ops(v.Report, panels)
	if len(left) > 0 {
		v.Left = fmt.Sprintf("Pictures of %d taps did not fit the page.", len(left))
	}
	return v.drawCaches(s, chosen)
}

// drawCaches draws both caches; those layers step by step that are drawn at
// all.
func (v *view) drawCaches(s *source, chosen []choice) error {
	caches := []tap.Tap{tap.KCache, tap.VCache}
	maps := make([]*cacheMap, len(caches))
	err := each(len(caches), s, func(i int, r *reading) error {
		var layers []int
		for _, c := range chosen {
			if c.tap == caches[i] && len(layers) < cacheLayers {
				layers = append(layers, c.layer)
			}
		}
		var err error
		maps[i], err = newCacheMap(r, caches[i], layers)
		return err
	})
	if err != nil {
		return err
	}
	for _, m := range maps {
		if m != nil {
			v.Caches = append(v.Caches, m.view(s))
		}
	}
	return nil
}

// each runs a job for 0 to n-1 on as many goroutines as there are cores, each
// with buffers of its own.
func each(n int, s *source, job func(i int, r *reading) error) error {
	var mu sync.Mutex
	var failed error
	next := 0
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			r := &reading{source: s}
			for {
				mu.Lock()
				i := next
				next++
				stop := failed != nil || i >= n
				mu.Unlock()
				if stop {
					return
				}
				if err := job(i, r); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// palettes hold the colours of each kind of scale.
var palettes = sync.OnceValue(func() map[string]color.Palette {
	all := map[string]color.Palette{}
	for _, kind := range []string{"signed", "amount", "error"} {
		all[kind] = scale{Kind: kind}.palette()
	}
	return all
})
