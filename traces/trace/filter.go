package trace

import (
	"slices"

	"attndiff/traces/tap"
)

// Filter passes on to a Sink only the recordings that were asked for. It does
// what --taps and --layers say.
type Filter struct {
	Sink
	Taps   []tap.Tap // nil wants every tap
	Layers *[2]int   // first and last, of taps that have a layer; nil wants every layer
}

// Wants reports whether k was asked for and the Sink behind wants it.
func (f Filter) Wants(k tap.Key) bool {
	if f.Taps != nil && !slices.Contains(f.Taps, k.Tap) {
		return false
	}
	if f.Layers != nil && k.Tap.PerLayer() && (k.Layer < f.Layers[0] || k.Layer > f.Layers[1]) {
		return false
	}
	return f.Sink.Wants(k)
}

// Put passes a recording on when it is wanted and drops it otherwise.
func (f Filter) Put(k tap.Key, dt DType, shape []int, raw []byte) error {
	if !f.Wants(k) {
		return nil
	}
	return f.Sink.Put(k, dt, shape, raw)
}
