package verdict

import (
	"strings"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// noteArithmetic is the note in which a trace states its engine's arithmetic.
const noteArithmetic = "arithmetic"

// arithmetic is how a trace's engine computes. llama.cpp and ours are known by
// name. Another engine's trace may say so itself; otherwise its projections
// tell: values that are all f16 or bf16 come from an engine that keeps them so,
// and of an engine that keeps f32 nobody knows what its products narrow.
func arithmetic(r *trace.Reader) (oracle.Arithmetic, error) {
	m := r.Meta()
	switch {
	case m.Engine == "llama.cpp:cuda":
		return oracle.GGMLCUDA, nil
	case strings.HasPrefix(m.Engine, "llama.cpp"):
		return oracle.GGML, nil
	case strings.HasPrefix(m.Engine, "ours:"):
		return oracle.PlainF32, nil
	}
	if a, ok := oracle.ParseArithmetic(strings.ToLower(m.Notes[noteArithmetic])); ok {
		return a, nil
	}
	grains, err := grains(r)
	if err != nil {
		return 0, err
	}
	switch half := (grains.all + 1) / 2; {
	case grains.all == 0:
	case grains.bf16 >= half:
		return oracle.BF16, nil
	case grains.f16 >= half:
		return oracle.F16, nil
	}
	return oracle.TensorCores, nil
}

// grainSample is how many recordings are looked at for the type that an engine
// keeps values in.
const grainSample = 8

type grainCount struct{ f16, bf16, all int }

// grains counts the types that the first projections are kept in; where none
// was recorded, other taps that a table or a rule does not fix.
func grains(r *trace.Reader) (grainCount, error) {
	var projections, others []tap.Key
	for _, k := range r.Keys() {
		switch k.Tap {
		case tap.QProj, tap.KProj, tap.VProj, tap.AttnOut, tap.FFNGate, tap.FFNUp, tap.FFNOut, tap.ResultOutput:
			projections = append(projections, k)
		case tap.InpEmbd, tap.KCache, tap.VCache, tap.KQSoftMax:
		default:
			others = append(others, k)
		}
	}
	if len(projections) == 0 {
		projections = others
	}
	var n grainCount
	for _, k := range projections[:min(len(projections), grainSample)] {
		v, err := r.Float64(k, nil)
		if err != nil {
			return n, err
		}
		n.all++
		switch oracle.Grain(v) {
		case trace.F16:
			n.f16++
		case trace.BF16:
			n.bf16++
		}
	}
	return n, nil
}

// stored is the type that a recording's values were rounded to: the file's, or
// where a foreign engine's were widened for the file the engine's own.
func stored(a oracle.Arithmetic, file trace.DType, values []float64) trace.DType {
	if a.Foreign() && (file == trace.F32 || file == trace.F64) {
		return oracle.Grain(values)
	}
	return file
}
