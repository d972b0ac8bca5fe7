package qwen2

import (
	"slices"

	"attndiff/ours/device"
	"attndiff/traces/execution"
	"attndiff/traces/tap"
)

// describe lists a step's ops as a note of the trace: those of the first two
// layers and the last, and what lies outside layers. It describes the ops that
// run, edits included.
func (p *pass) describe(ops []Op) *execution.Launches {
	last := p.hparams.NLayer - 1
	l := &execution.Launches{Step: p.step, Tokens: p.dims.T, Past: p.dims.P, Ops: len(ops),
		Layers: slices.Compact([]int{0, min(1, last), last})}
	for i := range ops {
		if at := ops[i].At; !at.Tap.PerLayer() || slices.Contains(l.Layers, at.Layer) {
			l.List = append(l.List, ops[i].describe())
		}
	}
	return l
}

func (op *Op) describe() execution.Op {
	out := execution.Op{Tap: op.At.Tap.String(), Layer: tap.NoLayer}
	if op.At.Tap.PerLayer() {
		out.Layer = op.At.Layer
	}
	if b := op.Out.Buffer; b != nil {
		out.Out = execution.Output{Buffer: b.Label(), Offset: op.Out.Offset, Type: string(op.Out.Type), Shape: op.Out.Shape}
	}
	if l := op.Launch; l != nil {
		out.Launch = &execution.Launch{Kernel: l.Kernel, Grid: size(l.Grid), Block: size(l.Block), Shared: l.SharedBytes}
		for _, a := range l.Args {
			out.Launch.Args = append(out.Launch.Args, argument(a))
		}
	}
	if g := op.Gemm; g != nil {
		out.Gemm = &execution.Gemm{TransA: g.TransA, TransB: g.TransB, M: g.M, N: g.N, K: g.K,
			Alpha: float64(g.Alpha), Beta: float64(g.Beta), A: operand(g.A), B: operand(g.B), C: operand(g.C)}
	}
	return out
}

// size spells out components that are left 0.
func size(d device.Dim3) [3]int { return [3]int{max(d.X, 1), max(d.Y, 1), max(d.Z, 1)} }

func argument(a device.Arg) execution.Arg {
	switch a := a.(type) {
	case device.Pointer:
		return execution.Arg{Buffer: label(a.Buffer), Offset: a.Offset}
	case device.Int:
		return execution.Arg{Number: float64(a)}
	case device.Float:
		return execution.Arg{Number: float64(a), Float: true}
	}
	return execution.Arg{}
}

func operand(m device.Matrix) execution.Matrix {
	return execution.Matrix{Buffer: label(m.Buffer), Offset: m.Offset, Type: m.Type.String(), Ld: m.Ld}
}

// label names a buffer; a pointer without one is null.
func label(b device.Buffer) string {
	if b == nil {
		return "null"
	}
	return b.Label()
}
