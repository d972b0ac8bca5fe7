package document

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"attndiff/traces/execution"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// mismatch is a number or an operand that ours' host code gave to a launch or
// a product, where the model calls for another.
type mismatch struct {
	tap    tap.Tap
	layers []int
	steps  []int
	what   string // "scale", "transA", "A"
	got    string
	want   string
}

// String words a mismatch: "scale is 1, the model calls for 0.125".
func (x mismatch) String() string {
	return fmt.Sprintf("%s is %s, this model calls for %s", code(x.what), code(x.got), code(x.want))
}

// audit compares launches with what the model's sizes call for. A kernel's
// argument is known by the name of its parameter, as ours/kernels use it: one
// that goes by another name is passed over.
type audit struct {
	hp       trace.Hparams
	launches *execution.Launches
	found    []mismatch
}

// auditLaunches looks through the launches that a trace tells of.
func auditLaunches(s *side, hp trace.Hparams) []mismatch {
	a := &audit{hp: hp}
	for _, l := range s.launches {
		if l == nil {
			continue
		}
		a.launches = l
		for i := range l.List {
			op := &l.List[i]
			t, err := tap.Parse(op.Tap)
			switch {
			case err != nil:
			case op.Gemm != nil:
				a.gemm(t, op)
			case op.Launch != nil:
				a.launch(t, op)
			default:
				a.note(t, op, "launch", "none: nothing ran, the tap holds what lay in buffer "+op.Out.Buffer, "one that computes "+op.Tap)
			}
		}
	}
	return a.found
}

// note adds a mismatch; the same one of another layer or step joins it.
func (a *audit) note(t tap.Tap, op *execution.Op, what, got, want string) {
	i := slices.IndexFunc(a.found, func(x mismatch) bool { return x.tap == t && x.what == what && x.got == got && x.want == want })
	if i < 0 {
		i = len(a.found)
		a.found = append(a.found, mismatch{tap: t, what: what, got: got, want: want})
	}
	x := &a.found[i]
	x.steps = appendNew(x.steps, a.launches.Step)
	if op.Layer >= 0 {
		x.layers = appendNew(x.layers, op.Layer)
	}
}

func appendNew(list []int, n int) []int {
	if slices.Contains(list, n) {
		return list
	}
	list = append(list, n)
	slices.Sort(list)
	return list
}

// expect notes a mismatch unless both are the same.
func expect[T cmp.Ordered](a *audit, t tap.Tap, op *execution.Op, what string, got, want T) {
	if got != want {
		a.note(t, op, what, fmt.Sprint(got), fmt.Sprint(want))
	}
}

// dims are the sizes of the step.
func (a *audit) dims() tap.Dims {
	d := a.hp.Dims()
	d.T, d.P = a.launches.Tokens, a.launches.Past
	return d
}

// weights names the matrix of each projection, in a layer or outside.
var weights = map[tap.Tap]string{
	tap.QProj: "attn_q.weight", tap.KProj: "attn_k.weight", tap.VProj: "attn_v.weight", tap.AttnOut: "attn_output.weight",
	tap.FFNGate: "ffn_gate.weight", tap.FFNUp: "ffn_up.weight", tap.FFNOut: "ffn_down.weight",
}

// vectors names the norm weight or bias that a kernel reads.
var vectors = map[tap.Tap]string{
	tap.AttnNorm: "attn_norm.weight", tap.FFNNorm: "ffn_norm.weight",
	tap.QBias: "attn_q.bias", tap.KBias: "attn_k.bias", tap.VBias: "attn_v.bias",
}

// operands are the taps that each op reads, in the order of its definition.
var operands = map[tap.Tap][]tap.Tap{
	tap.QProj: {tap.AttnNorm}, tap.QBias: {tap.QProj}, tap.QRope: {tap.QBias},
	tap.KProj: {tap.AttnNorm}, tap.KBias: {tap.KProj}, tap.KRope: {tap.KBias},
	tap.VProj: {tap.AttnNorm}, tap.VBias: {tap.VProj},
	tap.KCache: {tap.KRope}, tap.VCache: {tap.VBias},
	tap.KQ: {tap.QRope, tap.KCache}, tap.KQSoftMax: {tap.KQ}, tap.KQV: {tap.KQSoftMax, tap.VCache},
	tap.AttnOut: {tap.KQV}, tap.FFNNorm: {tap.FFNInp}, tap.FFNGate: {tap.FFNNorm}, tap.FFNUp: {tap.FFNNorm},
	tap.FFNSwiglu: {tap.FFNGate, tap.FFNUp}, tap.FFNOut: {tap.FFNSwiglu}, tap.LOut: {tap.FFNOut, tap.FFNInp},
	tap.ResultNorm: {tap.LOut}, tap.ResultOutput: {tap.ResultNorm},
}

// gemm holds a projection against Y[T,out] = X[T,in] W[out,in]^T.
func (a *audit) gemm(t tap.Tap, op *execution.Op) {
	out, in, ok := projection(t, a.dims())
	if !ok {
		return
	}
	g := op.Gemm
	flag := func(what string, got, want bool) {
		if got != want {
			a.note(t, op, what, transposed(got), transposed(want))
		}
	}
	flag("op(A)", g.TransA, true)
	flag("op(B)", g.TransB, false)
	expect(a, t, op, "m", g.M, out)
	expect(a, t, op, "n", g.N, a.launches.Tokens)
	expect(a, t, op, "k", g.K, in)
	expect(a, t, op, "lda", g.A.Ld, in)
	expect(a, t, op, "ldb", g.B.Ld, in)
	expect(a, t, op, "ldc", g.C.Ld, out)
	expect(a, t, op, "alpha", g.Alpha, 1)
	expect(a, t, op, "beta", g.Beta, 0)
	if name, ok := weights[t]; ok {
		expect(a, t, op, "A", g.A.Buffer, gguf.LayerName(op.Layer, name))
	}
	expect(a, t, op, "B", g.B.Buffer, operands[t][0].String())
}

// projection returns the sizes of a projection's weight [out,in].
func projection(t tap.Tap, d tap.Dims) (out, in int, ok bool) {
	switch t {
	case tap.QProj:
		return d.H * d.D, d.E, true
	case tap.KProj, tap.VProj:
		return d.G * d.D, d.E, true
	case tap.AttnOut:
		return d.E, d.H * d.D, true
	case tap.FFNGate, tap.FFNUp:
		return d.F, d.E, true
	case tap.FFNOut:
		return d.E, d.F, true
	case tap.ResultOutput:
		return d.V, d.E, true
	}
	return 0, 0, false
}

// transposed spells a flag as cuBLAS does.
func transposed(t bool) string {
	if t {
		return "CUBLAS_OP_T"
	}
	return "CUBLAS_OP_N"
}

// launch holds a kernel's arguments against the model.
func (a *audit) launch(t tap.Tap, op *execution.Op) {
	for _, arg := range op.Launch.Args {
		want, ok := a.number(t, arg.Name)
		if ok && arg.Buffer == "" && float32(arg.Number) != float32(want) {
			a.note(t, op, arg.Name, fmt.Sprintf("%.7g", arg.Number), fmt.Sprintf("%.7g", want))
		}
	}
	a.reads(t, op)
}

// number is what the model calls for under a parameter's name.
func (a *audit) number(t tap.Tap, param string) (float64, bool) {
	d := a.dims()
	sizes := map[string]int{"T": d.T, "C": d.C(), "H": d.H, "G": d.G, "D": d.D, "E": d.E, "pos0": d.P}
	switch t {
	case tap.QRope:
		sizes["N"] = d.H
	case tap.KRope:
		sizes["N"] = d.G
	case tap.QBias:
		sizes["N"] = d.H * d.D
	case tap.KBias, tap.VBias:
		sizes["N"] = d.G * d.D
	case tap.FFNInp, tap.LOut:
		sizes["n"] = d.T * d.E
	case tap.FFNSwiglu:
		sizes["n"] = d.T * d.F
	}
	if n, ok := sizes[param]; ok {
		return float64(n), true
	}
	switch param {
	case "base":
		return a.hp.RopeFreqBase, true
	case "eps":
		return a.hp.RMSEps, true
	case "scale":
		return 1 / math.Sqrt(float64(d.D)), true
	}
	return 0, false
}

// fused reports whether a layer's scores, softmax and weighted sum are one
// launch: there is none for the scores.
func fused(l *execution.Launches, layer int) bool {
	return l.Find(tap.KQ.String(), layer) == nil && l.Find(tap.KQSoftMax.String(), layer) == nil
}

// reads holds a launch's pointers against the taps that the op is made of, and
// its part of a cache against the part that the same layer writes.
func (a *audit) reads(t tap.Tap, op *execution.Op) {
	wanted := slices.Clone(operands[t])
	if t == tap.KQV && fused(a.launches, op.Layer) {
		wanted = []tap.Tap{tap.QRope, tap.KCache, tap.VCache}
	}
	if t == tap.FFNInp || t == tap.LOut || t == tap.AttnNorm {
		return // what they read depends on the layer before, whose buffer is shared
	}
	for _, arg := range op.Launch.Args {
		if arg.Buffer == "" || arg.Buffer == op.Out.Buffer && arg.Offset == op.Out.Offset {
			continue
		}
		if name, ok := vectors[t]; ok && op.Layer >= 0 && (arg.Name == "w" || arg.Name == "b") {
			expect(a, t, op, arg.Name, arg.Buffer, gguf.LayerName(op.Layer, name))
			continue
		}
		if len(wanted) == 0 {
			continue
		}
		expect(a, t, op, arg.Name, arg.Buffer, wanted[0].String())
		if c := wanted[0]; c == tap.KCache || c == tap.VCache {
			if write := a.launches.Find(c.String(), op.Layer); write != nil {
				expect(a, t, op, arg.Name+", byte offset", arg.Offset, write.Out.Offset)
			}
		}
		wanted = wanted[1:]
	}
}
