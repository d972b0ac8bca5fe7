// Package qwen2 is our forward pass of a Qwen2 model: token ids in, logits and
// every intermediate tensor out.
//
// A step is data before it is work. Each stage (embedding, attention, FFN,
// head) returns a list of [Op]s, one per tap, that say which kernel or matrix
// product runs on which buffers and what the tap records; [Model.Step] then
// executes the list in order on a [device.Device]. One op, one tap, one buffer
// per tap: nothing is computed in place, so a recording is what the op wrote.
//
// Attention takes one of two paths ([Path]): step by step, which records every
// tap, or fused, as production does it, which has no scores to record.
//
// Rows are tokens everywhere. T, P, C, E, H, G, D, F and V are used as in
// package tap. Activations are f32; weights stay in the file's type (Q8_0 is
// expanded to f32 by a kernel at load time); the KV cache is f16 or f32.
//
// The package knows the model and the launch shapes of ours/kernels. It must
// not know the reference, how tensors are judged, or which mistakes the
// catalogue in ours/faults plants: those come in as another kernel source or
// through [Options.Edit].
package qwen2
