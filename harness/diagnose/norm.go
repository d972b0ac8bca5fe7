package diagnose

import (
	"fmt"
	"math"
	"strings"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// normTaps are the taps that a norm writes.
var normTaps = []tap.Tap{tap.AttnNorm, tap.FFNNorm, tap.ResultNorm}

// normMistakes are the mistakes people make in eps, weight and kind of norm.
func normMistakes(m Model) []Hypothesis {
	change := func(aspect, id, title, fix string, f func(*oracle.Semantics)) Hypothesis {
		return Hypothesis{ID: id, Aspect: aspect, Taps: normTaps, Title: title, Fix: fix, Variant: semantic(f)}
	}
	out := []Hypothesis{
		change("weight", "norm-weight-missing", "rows are normalised and not multiplied by the weight",
			"Multiply by the norm's weight, element by element, after the normalisation.",
			func(s *oracle.Semantics) { s.NormBare = true }),
		change("weight", "norm-weight-plus-one", "the weight is taken as an offset from 1",
			"Multiply by w; 1+w is Gemma's convention.",
			func(s *oracle.Semantics) { s.NormOffset = 1 }),
		change("centre", "norm-layernorm", "the row's mean is subtracted: LayerNorm instead of RMSNorm",
			"RMSNorm divides by the root of the mean square and subtracts nothing.",
			func(s *oracle.Semantics) { s.NormCenters = true }),
		change("root", "norm-eps-outside-root", "eps is added to the root instead of under it",
			"Add eps to the mean square before the square root.",
			func(s *oracle.Semantics) { s.EpsOutside = true }),
		change("root", "norm-root-missing", "rows are divided by the mean square, not by its root",
			"Take the square root before dividing.",
			func(s *oracle.Semantics) { s.NormNoRoot = true }),
	}
	out = append(out, divisorMistakes()...)
	for _, eps := range []float64{1e-5, 0, 1e-12, 1e-6, 1e-3, 1e-8, 1e-4, 1e-7, 1e-2} {
		if math.Abs(eps-m.Right.RMSEps) <= oracle.UnitF32*eps {
			continue // the model's own, to f32
		}
		fix := fmt.Sprintf("Read eps from qwen2.attention.layer_norm_rms_epsilon (%.3g), do not assume %.3g.", m.Right.RMSEps, eps)
		out = append(out, change("eps", fmt.Sprintf("norm-eps-%.0e", eps), fmt.Sprintf("eps is %.0e, not the model's", eps), fix,
			func(s *oracle.Semantics) { s.RMSEps = eps }))
	}
	eps := m.Right.RMSEps / float64(m.Dims.E)
	out = append(out, change("eps", "norm-eps-on-the-sum", "eps is added to the sum of squares, before the division by n_embd",
		"Divide first: sqrt(sum/n_embd + eps).", func(s *oracle.Semantics) { s.RMSEps = eps }))
	return append(out, normWeightMistakes(m)...)
}

// normWeightMistakes read the weight of another norm.
func normWeightMistakes(m Model) []Hypothesis {
	own := map[tap.Tap]string{tap.AttnNorm: "attn_norm", tap.FFNNorm: "ffn_norm", tap.ResultNorm: "output_norm"}
	weight := func(id, title string, taps []tap.Tap, name func(of tap.Key) string) Hypothesis {
		return Hypothesis{ID: id, Aspect: "weight", Taps: taps, Title: title,
			Fix:     "Each norm has a weight of its own: blk.N.attn_norm, blk.N.ffn_norm and output_norm.",
			Variant: oracle.Variant{Tensor: func(of tap.Key, _ string) string { return name(of) }}}
	}
	block := func(layer int, name string) string { return fmt.Sprintf("blk.%d.%s.weight", layer, name) }
	layered := []tap.Tap{tap.AttnNorm, tap.FFNNorm}
	last := m.Layers - 1
	var out []Hypothesis
	for _, other := range []struct {
		at   tap.Tap
		name string
	}{{tap.FFNNorm, "attn_norm"}, {tap.AttnNorm, "ffn_norm"}} {
		out = append(out, weight("norm-weight-of-"+strings.ReplaceAll(other.name, "_", "-"),
			"the weight is that of "+other.name+" of the same layer", []tap.Tap{other.at},
			func(of tap.Key) string { return block(of.Layer, other.name) }))
	}
	out = append(out,
		weight("norm-weight-of-layer-before", "the weight is that of the layer before", layered,
			func(of tap.Key) string { return block(of.Layer-1, own[of.Tap]) }),
		weight("norm-weight-of-next-layer", "the weight is that of the next layer", layered,
			func(of tap.Key) string { return block(of.Layer+1, own[of.Tap]) }),
		weight("norm-weight-of-layer-0", "every layer uses the weight of layer 0", layered,
			func(of tap.Key) string { return block(0, own[of.Tap]) }),
		weight("norm-weight-of-output-norm", "the weight is that of output_norm", layered,
			func(tap.Key) string { return "output_norm.weight" }))
	for _, layer := range []int{last, 0} {
		for _, name := range []string{"ffn_norm", "attn_norm"} {
			out = append(out, weight(fmt.Sprintf("output-norm-weight-of-%s-%d", strings.ReplaceAll(name, "_", "-"), layer),
				fmt.Sprintf("the final norm uses the weight of %s of layer %d", name, layer), []tap.Tap{tap.ResultNorm},
				func(tap.Key) string { return block(layer, name) }))
		}
	}
	return out
}

// normInputMistakes read another stream, or none.
func normInputMistakes(m Model) []Hypothesis {
	last := m.Layers - 1
	input := func(id, title, fix string, taps []tap.Tap, other func(of, in tap.Key) tap.Key) Hypothesis {
		return Hypothesis{ID: id, Aspect: "input", Taps: taps, Title: title, Fix: fix, Variant: reads(other)}
	}
	at := func(layer int, t tap.Tap) func(of, in tap.Key) tap.Key {
		return func(of, _ tap.Key) tap.Key { return tap.At(of.Step, layer, t) }
	}
	before := func(t tap.Tap) func(of, in tap.Key) tap.Key {
		return func(of, _ tap.Key) tap.Key { return tap.At(of.Step, layerOrNone(of.Layer-1), t) }
	}
	attn, ffn, head := []tap.Tap{tap.AttnNorm}, []tap.Tap{tap.FFNNorm}, []tap.Tap{tap.ResultNorm}
	streamFix := "Norm the residual stream that enters this half of the layer: l_out of the layer before, then ffn_inp."
	headFix := "The final norm reads l_out of the last layer."
	row := func(id, title string, f func(r int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "row", Taps: normTaps, Title: title,
			Fix:     "Each row is scaled by its own sum of squares.",
			Variant: semantic(func(s *oracle.Semantics) { s.NormRow = f })}
	}
	return []Hypothesis{
		{ID: "norm-missing", Aspect: whole, Taps: normTaps,
			Title: "the stream is passed on without its norm",
			Fix:   "Normalise before the projections; the final norm belongs to no layer and is easily left out of the loop.",
			Variant: holds(func(of tap.Key) tap.Key {
				switch of.Tap {
				case tap.AttnNorm:
					return stream(of.Step, of.Layer)
				case tap.FFNNorm:
					return tap.At(of.Step, of.Layer, tap.FFNInp)
				}
				return stream(of.Step, m.Layers)
			})},
		input("norm-of-ffn-inp-before", "attn_norm reads ffn_inp of the layer before, which drops that layer's FFN", streamFix, attn, before(tap.FFNInp)),
		input("norm-of-layer-input", "ffn_norm reads the stream from before attention", streamFix, ffn, streamOf),
		input("norm-of-embedding", "attn_norm reads the embedding in every layer", streamFix, attn, at(tap.NoLayer, tap.InpEmbd)),
		input("norm-of-attn-out", "ffn_norm reads attn_out, without the residual", streamFix, ffn, tapOf(tap.AttnOut)),
		input("norm-of-ffn-out-before", "attn_norm reads ffn_out of the layer before, without the residual", streamFix, attn, before(tap.FFNOut)),
		input("norm-of-attn-norm", "ffn_norm reads attn_norm", streamFix, ffn, tapOf(tap.AttnNorm)),
		input("norm-of-stream-two-layers-back", "attn_norm reads the stream that entered the layer before", streamFix, attn,
			func(of, _ tap.Key) tap.Key { return stream(of.Step, of.Layer-1) }),
		input("final-norm-of-ffn-inp", "the final norm reads ffn_inp of the last layer, which drops its FFN", headFix, head, at(last, tap.FFNInp)),
		input("final-norm-of-layer-before-last", "the final norm reads the stream that entered the last layer", headFix, head,
			func(of, _ tap.Key) tap.Key { return stream(of.Step, last) }),
		input("final-norm-of-ffn-out", "the final norm reads ffn_out of the last layer, without the residual", headFix, head, at(last, tap.FFNOut)),
		input("final-norm-of-embedding", "the final norm reads the embedding", headFix, head, at(tap.NoLayer, tap.InpEmbd)),
		row("norm-sum-of-first-row", "all rows are scaled by the sum of the step's first row", func(int) int { return 0 }),
		row("norm-sum-of-row-before", "each row is scaled by the sum of the row before it", func(r int) int { return r - 1 }),
	}
}
