package document

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// proposal is a trial before a recording is chosen for it.
type proposal struct {
	name   string
	tap    tap.Tap
	suits  func(tap.Dims) bool // whether a step can tell the rivals apart; nil for any
	rivals []rival
}

// llamaBase is RoPE's base where a model names none (load_hparams,
// llama-model.cpp).
const llamaBase = 10000

// right is the model's own way.
func right(name string) rival { return rival{name: name} }

// otherwise is a way that means something else by the op.
func otherwise(name string, change func(*oracle.Semantics)) rival {
	return rival{name, oracle.Variant{Semantics: func(_ tap.Key, s *oracle.Semantics) { change(s) }}}
}

// fed is a way that reads another tap of the same step and layer.
func fed(name string, meant, read tap.Tap) rival {
	return rival{name, oracle.Variant{Read: func(_, in tap.Key) tap.Key {
		if in.Tap == meant {
			in.Tap = read
		}
		return in
	}}}
}

// proposals are the experiments that the answers rest on.
func proposals(m *material) []proposal {
	hp := m.hp
	positions := func(d tap.Dims) bool { return d.C() > 1 }
	several := func(d tap.Dims) bool { return d.T > 1 }
	decode := func(d tap.Dims) bool { return d.P > 0 && d.T == 1 }
	root := math.Sqrt(float64(hp.HeadDim))
	base := float64(llamaBase)
	if hp.RopeFreqBase == llamaBase {
		base = 1e6
	}
	list := []proposal{
		{"scale", tap.KQSoftMax, positions, []rival{
			right(fmt.Sprintf("1/sqrt(head_dim) = %.6g", 1/root)),
			otherwise("no scale", func(s *oracle.Semantics) { s.ScoreScale = 1 }),
			otherwise(fmt.Sprintf("1/head_dim = %.6g", 1/float64(hp.HeadDim)), func(s *oracle.Semantics) { s.ScoreScale = 1 / float64(hp.HeadDim) }),
		}},
		{"mask", tap.KQSoftMax, several, []rival{
			right("position p sees positions 0 to p"),
			otherwise("no mask", func(s *oracle.Semantics) { s.Visible = func(int, int, int) bool { return true } }),
			otherwise("p sees 0 to p-1", func(s *oracle.Semantics) { s.Visible = func(past, t, c int) bool { return c < past+t || c == 0 } }),
		}},
		{"pairs", tap.KRope, positions, []rival{
			right("dims i and i+head_dim/2 turned together (NEOX)"),
			otherwise("dims 2i and 2i+1 turned together (NORM)", func(s *oracle.Semantics) { s.Pairing = oracle.Interleaved }),
			otherwise("no rotation", func(s *oracle.Semantics) { s.RopeTurns = 0 }),
		}},
		{"base", tap.KRope, positions, []rival{
			right(fmt.Sprintf("base %.0f", hp.RopeFreqBase)),
			otherwise(fmt.Sprintf("base %.0f", base), func(s *oracle.Semantics) { s.RopeBase = base }),
		}},
		{"position", tap.KRope, decode, []rival{
			right("position P+t, P tokens being cached"),
			otherwise("position t, counted from this step", func(s *oracle.Semantics) { s.Position = func(_, t, _ int) int { return t } }),
			otherwise("position P+t+1", func(s *oracle.Semantics) { s.Position = func(past, t, _ int) int { return past + t + 1 } }),
		}},
		{"k cache", tap.KCache, positions, []rival{
			right("the stored rounding of `k_rope`, rotated keys"),
			fed("the stored rounding of `k_bias`, keys before RoPE", tap.KRope, tap.KBias),
		}},
		{"v cache", tap.VCache, nil, []rival{
			right("the stored rounding of `v_bias`"),
			fed("the stored rounding of `v_proj`, without the bias", tap.VBias, tap.VProj),
		}},
		{"norm", tap.AttnNorm, nil, []rival{
			right("RMSNorm: x / sqrt(mean(x^2) + eps) * w"),
			otherwise("LayerNorm: the mean subtracted first", func(s *oracle.Semantics) { s.NormCenters = true }),
			otherwise("RMSNorm without its weight", func(s *oracle.Semantics) { s.NormBare = true }),
		}},
		{"weight", tap.KProj, nil, []rival{
			right("op(A) = T: W is [out,in] row-major"),
			{"op(A) = N: the same bytes read as [in,out]", oracle.Variant{Matrix: asItLies}},
		}},
	}
	for _, b := range []struct {
		name string
		tap  tap.Tap
	}{{"q bias", tap.QBias}, {"k bias", tap.KBias}, {"v bias", tap.VBias}} {
		list = append(list, proposal{b.name, b.tap, nil, []rival{
			right("W x + b"),
			otherwise("W x, without the bias", func(s *oracle.Semantics) { s.BiasScale = 0 }),
		}})
	}
	if hp.NHeadKV > 1 && hp.NHead > hp.NHeadKV { // else all maps are one
		list = append(list, proposal{"heads of k", tap.KQ, positions, headMaps(hp.NHead, hp.NHeadKV)},
			proposal{"heads of v", tap.KQV, nil, headMaps(hp.NHead, hp.NHeadKV)})
	}
	return list
}

// headMaps are the ways people map query heads to KV heads.
func headMaps(heads, kv int) []rival {
	via := func(name string, f func(h int) int) rival {
		return otherwise(name, func(s *oracle.Semantics) { s.KVHead = func(h, _, _ int) int { return min(f(h), kv-1) } })
	}
	return []rival{
		right(fmt.Sprintf("KV head h / %d, whole part", heads/kv)),
		via(fmt.Sprintf("KV head h mod %d", kv), func(h int) int { return h % kv }),
		via("KV head 0 for all", func(int) int { return 0 }),
	}
}

// asItLies is the product of a weight whose bytes are read as [in,out].
func asItLies(_ tap.Key, w []float64, out, in int) []float64 {
	turned := make([]float64, len(w))
	for o := range out {
		for i := range in {
			turned[o*in+i] = w[i*out+o]
		}
	}
	return turned
}
