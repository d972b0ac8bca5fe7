package verdict

import (
	"strings"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// growth bounds the drift that rounding alone explains when no oracle can
// judge ops: each op on the way from the tokens to a tap adds one rounding of
// the operand type, of independent sign, so variances add up in execution
// order.
type growth struct {
	perOp  float64 // NMSE that one op's operand rounding leaves
	layers int
}

// quantNMSE is the NMSE of quantising activations to Q8_0: the step is
// amax/127 and its error uniform; over a block of 32 normal values amax is
// about 2.1 standard deviations, so (2.1/127)^2/12.
const quantNMSE = (2.1 / 127) * (2.1 / 127) / 12

// newGrowth takes the operand type from the reference's note on its weights
// ("F16", "Q8_0+F32"); a trace without one is held to f16, llama.cpp's usual.
// Engines that sum or keep values in a narrow type leave more.
func newGrowth(ref *trace.Reader, engines ...oracle.Arithmetic) growth {
	g := growth{perOp: oracle.RoundingNMSE(oracle.UnitF16), layers: ref.Meta().Hparams.NLayer}
	switch weights := ref.Meta().Notes[trace.NoteWeights]; {
	case weights == "F32" && ref.Meta().Hparams.KVType == "f32":
		g.perOp = oracle.RoundingNMSE(oracle.UnitF32) * float64(ref.Meta().Hparams.NEmbd)
	case strings.HasPrefix(weights, "BF16"):
		g.perOp = oracle.RoundingNMSE(oracle.UnitBF16)
	case strings.Contains(weights, "Q"):
		g.perOp = quantNMSE
	}
	hp := ref.Meta().Hparams
	dtype, _, _ := strings.Cut(ref.Meta().Notes[trace.NoteWeights], "+")
	if dtype == "" {
		dtype = "F16"
	}
	for _, a := range engines {
		g.perOp = max(g.perOp, a.ProductNMSE(dtype, max(hp.NEmbd, hp.NFF)))
	}
	return g
}

// allowance is the drift that rounding explains at k.
func (g growth) allowance(k tap.Key) float64 {
	ops := int(k.Tap) + 1
	switch {
	case k.Layer > 0:
		ops += k.Layer * (int(tap.LOut) - int(tap.InpEmbd))
	case k.Layer == tap.NoLayer && k.Tap != tap.InpEmbd:
		ops += (g.layers - 1) * (int(tap.LOut) - int(tap.InpEmbd))
	}
	return oracle.Confidence * g.perOp * float64(ops)
}
