package qwen2

import (
	"attndiff/ours/device"
	"attndiff/traces/tap"
)

// buffers holds the activations: one f32 buffer per tap, shared by all layers
// and steps (k_cache and v_cache live in the cache instead), the step's token
// ids and the greedy choice.
type buffers struct {
	tap    [tap.Count]device.Buffer
	tokens device.Buffer // [T] int
	best   device.Buffer // [1] int

	// Of the fused path: see fused_decode.cu.
	partial, extremes device.Buffer // [splits,H,D] and [splits,H,2]
	tickets           device.Buffer // [units] unsigned, zeros between launches
}

// fit makes every buffer large enough for a step of these dims. The device
// interface has no free, so a buffer that must grow at least doubles: what
// outgrown buffers hold until Close stays below what the live ones hold. Score
// buffers start with room for decoding one token up to capacity. A path that
// computes no scores has none.
func (b *buffers) fit(dev device.Device, d tap.Dims, capacity int, path Path) error {
	if path == Fused {
		if err := b.fitFused(dev, d); err != nil {
			return err
		}
	}
	for _, t := range tap.All() {
		if t == tap.KCache || t == tap.VCache || !path.Computes(t) {
			continue
		}
		least := 0
		if t == tap.KQ || t == tap.KQSoftMax {
			least = d.H * capacity
		}
		if err := grow(dev, &b.tap[t], max(tap.Elements(t.Shape(d)), least)*device.F32.Size(), t.String()); err != nil {
			return err
		}
	}
	if err := grow(dev, &b.tokens, d.T*device.I32.Size(), "tokens"); err != nil {
		return err
	}
	return grow(dev, &b.best, device.I32.Size(), "argmax")
}

// grow replaces *b by a larger buffer when it holds fewer than n bytes.
func grow(dev device.Device, b *device.Buffer, n int, label string) error {
	if *b != nil {
		if n <= (*b).Bytes() {
			return nil
		}
		n = max(n, 2*(*b).Bytes())
	}
	bigger, err := dev.Alloc(n, label)
	if err != nil {
		return err
	}
	*b = bigger
	return nil
}
