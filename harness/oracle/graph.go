package oracle

import (
	"fmt"

	"attndiff/traces/tap"
)

// weightOf names the matrix that a projection multiplies by, "" for other
// taps. Names are those of GGUF (llama.cpp/src/llama-arch.cpp, LLM_TENSOR_NAMES).
func weightOf(k tap.Key) string {
	suffix := map[tap.Tap]string{
		tap.QProj: "attn_q", tap.KProj: "attn_k", tap.VProj: "attn_v", tap.AttnOut: "attn_output",
		tap.FFNGate: "ffn_gate", tap.FFNUp: "ffn_up", tap.FFNOut: "ffn_down",
	}[k.Tap]
	if suffix != "" {
		return fmt.Sprintf("blk.%d.%s.weight", k.Layer, suffix)
	}
	if k.Tap == tap.ResultOutput {
		return "output.weight"
	}
	return ""
}

// linearInput is the tap that a projection reads.
func linearInput(k tap.Key) tap.Key {
	switch k.Tap {
	case tap.QProj, tap.KProj, tap.VProj:
		return tap.At(k.Step, k.Layer, tap.AttnNorm)
	case tap.AttnOut:
		return tap.At(k.Step, k.Layer, tap.KQV)
	case tap.FFNGate, tap.FFNUp:
		return tap.At(k.Step, k.Layer, tap.FFNNorm)
	case tap.FFNOut:
		return tap.At(k.Step, k.Layer, tap.FFNSwiglu)
	default:
		return tap.At(k.Step, tap.NoLayer, tap.ResultNorm)
	}
}

// layerInput is the residual stream that a layer starts from.
func layerInput(step, layer int) tap.Key {
	if layer == 0 {
		return tap.At(step, tap.NoLayer, tap.InpEmbd)
	}
	return tap.At(step, layer-1, tap.LOut)
}

// biased is the tap that RoPE (or the cache, for V) reads: the biased
// projection, or the bare one in a model without that bias.
func (o *Oracle) biased(k tap.Key, proj, bias tap.Tap, name string) tap.Key {
	if o.weights.Type(fmt.Sprintf("blk.%d.%s.bias", k.Layer, name)) == "" {
		return tap.At(k.Step, k.Layer, proj)
	}
	return tap.At(k.Step, k.Layer, bias)
}

// Inputs lists the taps that the op at k reads, as the forward pass has them;
// for reasoning about what inherits from what when nothing is recomputed.
// layers is the model's layer count.
func Inputs(k tap.Key, layers int) []tap.Key {
	at := func(ts ...tap.Tap) []tap.Key {
		var keys []tap.Key
		for _, t := range ts {
			keys = append(keys, tap.At(k.Step, k.Layer, t))
		}
		return keys
	}
	if weightOf(k) != "" {
		return []tap.Key{linearInput(k)}
	}
	switch k.Tap {
	case tap.AttnNorm:
		return []tap.Key{layerInput(k.Step, k.Layer)}
	case tap.QBias, tap.KBias, tap.VBias, tap.QRope, tap.KRope, tap.KQSoftMax, tap.FFNNorm:
		return at(k.Tap - 1)
	case tap.KCache, tap.VCache:
		fresh := map[tap.Tap]tap.Tap{tap.KCache: tap.KRope, tap.VCache: tap.VBias}[k.Tap]
		keys := at(fresh)
		if k.Step > 0 {
			keys = append(keys, tap.At(k.Step-1, k.Layer, k.Tap))
		}
		return keys
	case tap.KQ:
		return at(tap.QRope, tap.KCache)
	case tap.KQV:
		return at(tap.KQSoftMax, tap.VCache)
	case tap.FFNInp:
		return append(at(tap.AttnOut), layerInput(k.Step, k.Layer))
	case tap.FFNSwiglu:
		return at(tap.FFNGate, tap.FFNUp)
	case tap.LOut:
		return at(tap.FFNOut, tap.FFNInp)
	case tap.ResultNorm:
		return []tap.Key{layerInput(k.Step, layers)}
	}
	return nil
}
