package page

import (
	"cmp"
	"image/color"
	"runtime"
	"slices"
	"strings"
	"sync"

	"attndiff/traces/tap"
)

// draw reads what is most telling and turns it into the view's pictures. What
// pictures save of their largest size goes to more of them.
func (v *view) draw(s *source) error {
	var panels []panel
	rest, left := wishes(v.Report, s), pictureBudget-s.cacheCost()
	for {
		var take []choice
		if take, rest = s.affordable(rest, left); len(take) == 0 {
			break
		}
		drawn := make([]panel, len(take))
		err := each(len(take), s, func(i int, r *reading) error {
			st := s.newStack(take[i].tap, take[i].layer)
			if err := st.fill(r); err != nil {
				return err
			}
			drawn[i] = st.panel(s)
			return nil
		})
		if err != nil {
			return err
		}
		for i := range drawn {
			left -= drawn[i].size()
		}
		panels = append(panels, drawn...)
	}
	slices.SortFunc(panels, func(a, b panel) int { return cmp.Or(cmp.Compare(a.tap, b.tap), cmp.Compare(a.layer, b.layer)) })
	v.Ops, v.Scores = ops(v.Report, panels)
	v.Left = undrawn(rest, panels)
	return v.drawCaches(s, panels)
}

// undrawn names the taps that have no picture at all, in words.
func undrawn(rest []choice, panels []panel) string {
	var names []string
	for _, c := range rest {
		drawn := slices.ContainsFunc(panels, func(p panel) bool { return p.tap == c.tap })
		if name := c.tap.String(); !drawn && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if names == nil {
		return ""
	}
	return "No room was left on the page for " + strings.Join(names, ", ") + "."
}

// drawCaches draws both caches; those layers step by step that are drawn at
// all.
func (v *view) drawCaches(s *source, panels []panel) error {
	caches := []tap.Tap{tap.KCache, tap.VCache}
	maps := make([]*cacheMap, len(caches))
	err := each(len(caches), s, func(i int, r *reading) error {
		var layers []int
		for _, p := range panels {
			if p.tap == caches[i] && len(layers) < cacheLayers {
				layers = append(layers, p.layer)
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
