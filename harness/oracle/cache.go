package oracle

import (
	"math"
	"slices"

	"attndiff/traces/tap"
)

// cache is the whole cache after this step's write: the rows of the step
// before, unchanged, then the stored rounding of this step's; a step before
// that did not record it is seen through to the rows it wrote. Where the
// semantics say where rows go, it is what all writes so far leave.
func (e *evaluation) cache(fresh tap.Key) Rows {
	if e.sem.CacheWrite != nil || e.sem.CacheRead != nil {
		return e.history(fresh.Tap)
	}
	if e.sem.CacheCell != nil {
		return e.cells(fresh.Tap)
	}
	parts := []Rows{store(e.in(fresh), e.s.kvType(), e.sem.Stored, e.s.turns)} // newest first
	for step := e.k.Step - 1; step >= 0 && e.err == nil; step-- {
		old := tap.At(step, e.k.Layer, e.k.Tap)
		if e.s.has(old) || !e.o.variant.none() {
			parts = append(parts, e.in(old))
			break
		}
		e.got.composed |= 1 << e.k.Tap
		parts = append(parts, store(e.in(tap.At(step, e.k.Layer, fresh.Tap)), e.s.kvType(), e.sem.Stored, e.s.turns))
	}
	if e.err != nil || len(parts) == 1 {
		return parts[0]
	}
	all := Rows{Width: parts[0].Width}
	exact := true
	for _, p := range slices.Backward(parts) {
		all.N += p.N
		all.V = append(all.V, p.V...)
		exact = exact && p.Noise == nil
	}
	if exact {
		return all
	}
	for _, p := range slices.Backward(parts) {
		all.Noise = append(all.Noise, noiseOf(p)...)
	}
	return all
}

// history replays every write of the run up to this one, and reads this
// layer's positions back. A position that nothing was written to is undefined.
func (e *evaluation) history(fresh tap.Tap) Rows {
	sem := e.sem
	if sem.CacheWrite == nil {
		sem.CacheWrite = func(layer, past, t, _ int) Slot { return Slot{layer, past + t} }
	}
	if sem.CacheRead == nil {
		sem.CacheRead = func(layer, p, _ int) Slot { return Slot{layer, p} }
	}
	type origin struct{ step, layer, token int }
	held := map[Slot]origin{}
	for step := 0; step <= e.k.Step; step++ {
		d := e.s.trace.Dims(step)
		for layer := range e.o.hp.NLayer {
			if step == e.k.Step && layer > e.k.Layer {
				break // not run yet
			}
			for t := range d.T {
				if to := sem.CacheWrite(layer, d.P, t, d.T); to.Row >= 0 {
					held[to] = origin{step, layer, t}
				}
			}
		}
	}
	d := e.dims
	y := NewRows(d.C()*d.G, d.D)
	rows := map[tap.Key]Rows{}
	var noise bool
	for p := range d.C() {
		at := p * d.G * d.D
		from, ok := held[sem.CacheRead(e.k.Layer, p, d.C())]
		if !ok {
			for i := range d.G * d.D {
				y.V[at+i] = math.NaN()
			}
			continue
		}
		k := tap.At(from.step, from.layer, fresh)
		x, ok := rows[k]
		if !ok {
			if x = e.in(k); e.err != nil {
				return Rows{}
			}
			x = store(x, e.s.kvType(), e.sem.Stored, e.s.turns)
			rows[k] = x
		}
		row := from.token * d.G * d.D
		copy(y.V[at:at+d.G*d.D], x.V[row:])
		for i := range d.G * d.D {
			y.Noise[at+i] = x.noiseAt(row + i)
		}
		noise = noise || x.Noise != nil
	}
	if !noise {
		y.Noise = nil
	}
	return y
}

// cells replays every write of the run to this layer, element by element. A
// place that nothing was written to is undefined.
func (e *evaluation) cells(fresh tap.Tap) Rows {
	d := e.dims
	width := d.G * d.D
	y := NewRows(d.C()*d.G, d.D)
	for i := range y.V {
		y.V[i] = math.NaN()
	}
	var noise bool
	for step := 0; step <= e.k.Step; step++ {
		x := e.in(tap.At(step, e.k.Layer, fresh))
		if e.err != nil {
			return Rows{}
		}
		x = store(x, e.s.kvType(), e.sem.Stored, e.s.turns)
		noise = noise || x.Noise != nil
		now := e.s.trace.Dims(step)
		for i, v := range x.V {
			to := e.sem.CacheCell(now.P, i/width, now.T, i%width, width)
			if to >= 0 && to < len(y.V) {
				y.V[to], y.Noise[to] = v, x.noiseAt(i)
			}
		}
	}
	if !noise {
		y.Noise = nil
	}
	return y
}
