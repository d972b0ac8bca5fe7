package llamacpp

// #include "bridge.h"
import "C"

import (
	"fmt"
	"unsafe"

	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Element types of ggml.h's enum ggml_type that taps come in.
var dtypes = map[C.int32_t]trace.DType{0: trace.F32, 1: trace.F16, 30: trace.BF16}

// ask fills e.want with what the sink wants of a step, indexed as ref_step
// reads it.
func (e *Engine) ask(step int, sink trace.Sink) {
	for i := range e.want {
		layer, t := i/int(tap.Count), tap.Tap(i%int(tap.Count))
		e.want[i] = 0
		if (t.PerLayer() || layer == 0) && sink.Wants(tap.At(step, layer, t)) {
			e.want[i] = 1
		}
	}
}

// record puts every wanted tensor of the step that has just run.
func (e *Engine) record(step int, dims tap.Dims, sink trace.Sink) error {
	var r reading
	for k := range keys(step, e.h.NLayer) {
		layer := max(k.Layer, 0)
		if e.want[layer*int(tap.Count)+int(k.Tap)] == 0 {
			continue
		}
		if err := r.put(e, k, layer, dims, sink); err != nil {
			return err
		}
	}
	return nil
}

// reading is what the bridge fills in, kept from tensor to tensor: memory given
// to C is on the heap, and there are hundreds of tensors to a step.
type reading struct {
	tensor C.ref_tensor
	why    C.ref_error
}

// put hands one tensor to the sink; a tap this model or this graph does not
// have is passed over.
func (r *reading) put(e *Engine, k tap.Key, layer int, dims tap.Dims, sink trace.Sink) error {
	if C.ref_read(e.c, C.int32_t(layer), C.int32_t(k.Tap), &r.tensor, &r.why) != 0 {
		return fmt.Errorf("reading %v: %s", k, C.GoString(&r.why.text[0]))
	}
	t := r.tensor
	if t.data == nil {
		return nil
	}
	dt, ok := dtypes[t._type]
	if !ok {
		return fmt.Errorf("reading %v: llama.cpp has it in type number %d of ggml, which a trace cannot hold", k, t._type)
	}
	shape := k.Tap.Shape(dims)
	if want := tap.Elements(shape) * dt.Size(); int(t.bytes) != want {
		return fmt.Errorf("reading %v: llama.cpp has %d bytes of it, %s of shape %v are %d", k, t.bytes, dt, shape, want)
	}
	return sink.Put(k, dt, shape, unsafe.Slice((*byte)(t.data), int(t.bytes)))
}

// keys yields the keys of a step in execution order.
func keys(step, layers int) func(yield func(tap.Key) bool) {
	return func(yield func(tap.Key) bool) {
		if !yield(tap.At(step, 0, tap.InpEmbd)) {
			return
		}
		for layer := range layers {
			for _, t := range tap.All() {
				if t.PerLayer() && !yield(tap.At(step, layer, t)) {
					return
				}
			}
		}
		_ = yield(tap.At(step, 0, tap.ResultNorm)) && yield(tap.At(step, 0, tap.ResultOutput))
	}
}
