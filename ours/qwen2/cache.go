package qwen2

import (
	"fmt"

	"attndiff/ours/device"
	"attndiff/traces/trace"
)

// cache is the KV cache: two buffers laid out [layer][capacity][G][D], rows in
// logical order (position p is row p).
type cache struct {
	k, v     device.Buffer
	dtype    trace.DType // F16 or F32
	capacity int         // positions per layer
	rowBytes int         // bytes of one position, G*D elements
	used     int         // positions filled, P of the next step
}

// newCache allocates the cache for hp.KVType "f16" or "f32".
func newCache(dev device.Device, hp trace.Hparams, capacity int) (*cache, error) {
	c := &cache{capacity: capacity}
	switch hp.KVType {
	case "f16":
		c.dtype = trace.F16
	case "f32":
		c.dtype = trace.F32
	default:
		return nil, fmt.Errorf("KV cache type %q: want f16 or f32", hp.KVType)
	}
	if capacity <= 0 {
		return nil, fmt.Errorf("KV cache of %d positions: want at least one", capacity)
	}
	c.rowBytes = hp.NHeadKV * hp.HeadDim * c.dtype.Size()
	var err error
	if c.k, err = dev.Alloc(hp.NLayer*c.layerBytes(), "k_cache"); err != nil {
		return nil, err
	}
	c.v, err = dev.Alloc(hp.NLayer*c.layerBytes(), "v_cache")
	return c, err
}

// layerBytes is the distance between two layers.
func (c *cache) layerBytes() int { return c.capacity * c.rowBytes }

// layer returns the address of layer l in one of the cache's buffers.
func (c *cache) layer(b device.Buffer, l int) device.Pointer {
	return device.Pointer{Buffer: b, Offset: l * c.layerBytes()}
}

// kernel returns the variant of a kernel for the cache's element type.
func (c *cache) kernel(name string) string {
	if c.dtype == trace.F16 {
		return name + "_f16"
	}
	return name + "_f32"
}
