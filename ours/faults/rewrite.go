package faults

import (
	"slices"
	"sync"

	"attndiff/ours/device"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
	"attndiff/traces/tap"
)

// The helpers below say host-side mistakes in the terms of the host code: this
// argument of that launch, that product's operand, a launch left out. They
// leave alone what another fault already removed, so that faults compose.

// each is a rewrite that visits every op of a tap.
func each(t tap.Tap, slot string, f func(op *qwen2.Op, ops []qwen2.Op)) Rewrite {
	return Rewrite{Slot: t.String() + " " + slot, Taps: []tap.Tap{t}, Apply: func(ops []qwen2.Op) []qwen2.Op {
		for i := range ops {
			if ops[i].At.Tap == t {
				f(&ops[i], ops)
			}
		}
		return ops
	}}
}

// setArg is a rewrite of one kernel argument, by the parameter's name.
func setArg(t tap.Tap, param string, value func(op *qwen2.Op, old device.Arg) device.Arg) Rewrite {
	return each(t, param, func(op *qwen2.Op, _ []qwen2.Op) {
		a := arg(op, param)
		*a = value(op, *a)
	})
}

// constant is a value for setArg that does not depend on the op.
func constant(v device.Arg) func(*qwen2.Op, device.Arg) device.Arg {
	return func(*qwen2.Op, device.Arg) device.Arg { return v }
}

// arg returns the place where an op's launch holds the named parameter. An op
// without such a parameter gets a place that nobody reads.
func arg(op *qwen2.Op, param string) *device.Arg {
	if op != nil && op.Launch != nil {
		if i := slices.Index(parameters()[op.Launch.Kernel], param); i >= 0 {
			return &op.Launch.Args[i]
		}
	}
	return new(device.Arg)
}

// parameters maps each kernel to the names of its parameters.
var parameters = sync.OnceValue(func() map[string][]string {
	names := map[string][]string{}
	list, err := kernels.Default().Kernels()
	if err != nil {
		return names // the kernels do not compile either, and that error reaches the user
	}
	for _, k := range list {
		for _, p := range k.Params {
			names[k.Name] = append(names[k.Name], p.Name)
		}
	}
	return names
})

// find returns the op of a layer's tap, nil if there is none.
func find(ops []qwen2.Op, layer int, t tap.Tap) *qwen2.Op {
	i := slices.IndexFunc(ops, func(op qwen2.Op) bool { return op.At.Layer == layer && op.At.Tap == t })
	if i < 0 {
		return nil
	}
	return &ops[i]
}

// product is a rewrite of one projection's GEMM.
func product(t tap.Tap, slot string, f func(g *device.Gemm)) Rewrite {
	return each(t, slot, func(op *qwen2.Op, _ []qwen2.Op) {
		if op.Gemm != nil {
			f(op.Gemm)
		}
	})
}

// skip is a rewrite that leaves out the launch of a tap: the layer goes on with
// what the launch would have read as parameter param, and that is what the tap
// records.
func skip(t tap.Tap, param string) Rewrite {
	return each(t, "launch", func(op *qwen2.Op, ops []qwen2.Op) {
		input, ok := (*arg(op, param)).(device.Pointer)
		if !ok {
			return
		}
		output := device.Pointer{Buffer: op.Out.Buffer, Offset: op.Out.Offset}
		op.Launch = nil
		for i := range ops {
			if ops[i].At.Layer == op.At.Layer {
				redirect(&ops[i], output, input)
			}
		}
	})
}

// redirect makes an op read input where it read output; an op that only
// records output records input.
func redirect(op *qwen2.Op, output, input device.Pointer) {
	switch {
	case op.Launch != nil:
		for i, a := range op.Launch.Args {
			if a == device.Arg(output) {
				op.Launch.Args[i] = input
			}
		}
	case op.Gemm != nil:
		if op.Gemm.B.Pointer == output {
			op.Gemm.B.Pointer = input
		}
	case op.Out.Buffer == output.Buffer && op.Out.Offset == output.Offset:
		op.Out.Buffer, op.Out.Offset = input.Buffer, input.Offset
	}
}

// previousLayer is a rewrite that gives a layer's op the pointer that the same
// op of the layer before uses; the first layer is right.
func previousLayer(t tap.Tap, param string) Rewrite {
	return Rewrite{Slot: t.String() + " " + param, Taps: []tap.Tap{t}, Apply: func(ops []qwen2.Op) []qwen2.Op {
		for i := len(ops) - 1; i >= 0; i-- { // backwards, so that no layer sees a changed one
			before := find(ops, ops[i].At.Layer-1, t)
			if ops[i].At.Tap == t && before != nil {
				*arg(&ops[i], param) = *arg(before, param)
			}
		}
		return ops
	}}
}

// clone returns an op whose launch can be changed without changing the
// original's.
func clone(op qwen2.Op) qwen2.Op {
	if op.Launch != nil {
		launch := *op.Launch
		launch.Args = slices.Clone(launch.Args)
		op.Launch = &launch
	}
	return op
}

// inPlace makes a launch read as x what it writes as y.
func inPlace(op *qwen2.Op) {
	*arg(op, "x") = *arg(op, "y")
	op.Launch.Writes = nil
}
