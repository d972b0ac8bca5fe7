package diagnose

import (
	"fmt"
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

var swigluTaps = []tap.Tap{tap.FFNSwiglu}

// activationMistakes are the mistakes people make in the gated unit:
// silu(gate) * up.
func activationMistakes(m Model) []Hypothesis {
	sigmoid := func(g float64) float64 { return 1 / (1 + math.Exp(-g)) }
	act := func(id, title string, f func(g float64) float64) Hypothesis {
		return Hypothesis{ID: id, Aspect: "activation", Taps: swigluTaps, Title: title,
			Fix: "Qwen2's activation is SiLU: x / (1 + exp(-x)).", Variant: semantic(func(s *oracle.Semantics) { s.Activation = f })}
	}
	out := []Hypothesis{
		{ID: "gate-up-swapped", Aspect: "operands", Taps: swigluTaps, Title: "SiLU is applied to the up projection and the gate multiplies",
			Fix: "silu(gate) * up: check the order of the two pointers, or of the halves of a fused weight.",
			Variant: oracle.Variant{Read: func(_, in tap.Key) tap.Key {
				in.Tap = map[tap.Tap]tap.Tap{tap.FFNGate: tap.FFNUp, tap.FFNUp: tap.FFNGate}[in.Tap]
				return in
			}}},
		act("gelu-tanh-for-silu", "the gate passes through GELU (tanh form) instead of SiLU", func(g float64) float64 {
			return 0.5 * g * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(g+0.044715*g*g*g)))
		}),
		act("gelu-for-silu", "the gate passes through GELU (erf form) instead of SiLU", func(g float64) float64 { return 0.5 * g * (1 + math.Erf(g/math.Sqrt2)) }),
		act("quick-gelu-for-silu", "the gate passes through quick GELU, x sigmoid(1.702 x), instead of SiLU", func(g float64) float64 { return g * sigmoid(1.702*g) }),
		act("relu-for-silu", "the gate passes through ReLU instead of SiLU", func(g float64) float64 { return math.Max(g, 0) }),
		act("relu-squared-for-silu", "the gate passes through the square of ReLU instead of SiLU", func(g float64) float64 { return math.Max(g, 0) * math.Max(g, 0) }),
		act("sigmoid-for-silu", "the gate passes through the sigmoid alone", sigmoid),
		act("tanh-for-silu", "the gate passes through tanh instead of SiLU", math.Tanh),
		act("softplus-for-silu", "the gate passes through softplus instead of SiLU", softplus),
		act("mish-for-silu", "the gate passes through Mish, x tanh(softplus(x)), instead of SiLU", func(g float64) float64 { return g * math.Tanh(softplus(g)) }),
		act("elu-for-silu", "the gate passes through ELU instead of SiLU", func(g float64) float64 {
			if g > 0 {
				return g
			}
			return math.Expm1(g)
		}),
		act("leaky-relu-for-silu", "the gate passes through leaky ReLU (0.01) instead of SiLU", func(g float64) float64 { return math.Max(g, 0.01*g) }),
		act("activation-missing", "the gate is not activated: gate * up", func(g float64) float64 { return g }),
		act("silu-of-minus-gate", "the exponential has the wrong sign: x / (1 + exp(x))", func(g float64) float64 { return g * sigmoid(-g) }),
		act("silu-twice", "SiLU is applied twice", func(g float64) float64 { return oracle.SiLU(oracle.SiLU(g)) }),
		act("silu-exp2", "the sigmoid is to base 2", func(g float64) float64 { return g / (1 + math.Exp2(-g)) }),
		approximate(act("silu-exp-first-order", "the exponential is replaced by (1 - x/256)^256", func(g float64) float64 { return g / (1 + math.Pow(1-g/256, 256)) }), 256),
		approximate(act("silu-exp-first-order-1024", "the exponential is replaced by (1 - x/1024)^1024", func(g float64) float64 { return g / (1 + math.Pow(1-g/1024, 1024)) }), 1024),
		act("silu-hard", "the sigmoid is replaced by clamp(x/6 + 1/2)", func(g float64) float64 { return g * math.Min(math.Max(g/6+0.5, 0), 1) }),
		act("silu-of-scaled-gate", "the gate is scaled by 1/sqrt(n_embd) first", func(g float64) float64 { return oracle.SiLU(g / math.Sqrt(float64(m.Dims.E))) }),
	}
	for _, limit := range []float64{7, 10, 20, 5, 3, 1} {
		out = append(out,
			act(fmt.Sprintf("silu-clamped-at-%g", limit), fmt.Sprintf("the gate is clamped at %g", limit),
				func(g float64) float64 { return oracle.SiLU(math.Min(g, limit)) }),
			act(fmt.Sprintf("silu-clamped-within-%g", limit), fmt.Sprintf("the gate is clamped to -%g and %g", limit, limit),
				func(g float64) float64 { return oracle.SiLU(math.Max(math.Min(g, limit), -limit)) }))
	}
	return append(out, gateMistakes()...)
}

// softplus is log(1 + e^x), which is near x where x is large.
func softplus(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// gateMistakes combine gate and up in another way.
func gateMistakes() []Hypothesis {
	up := func(id, title string, f func(u float64) float64) Hypothesis {
		return Hypothesis{ID: id, Aspect: "up", Taps: swigluTaps, Title: title, Fix: "silu(gate) * up.",
			Variant: feeds(tap.FFNUp, func(x oracle.Rows, _ tap.Dims) oracle.Rows {
				return mapped(x, func(_ int, v float64) float64 { return f(v) })
			})}
	}
	input := func(aspect, id, title string, meant tap.Tap, other func(of, in tap.Key) tap.Key) Hypothesis {
		return Hypothesis{ID: id, Aspect: aspect, Taps: swigluTaps, Title: title, Fix: "silu(gate) * up, both of this layer.",
			Variant: readsFor(meant, other)}
	}
	return []Hypothesis{
		up("up-missing", "the up projection is left out: silu(gate)", func(float64) float64 { return 1 }),
		up("silu-on-both", "SiLU is applied to both projections", oracle.SiLU),
		up("up-plus-one", "1 is added to the up projection", func(u float64) float64 { return u + 1 }),
		up("up-squared", "the up projection enters squared", func(u float64) float64 { return u * u }),
		input("gate", "gate-is-up", "the up projection is both gate and factor", tap.FFNGate, tapOf(tap.FFNUp)),
		input("up", "up-is-gate", "the gate is both gate and factor", tap.FFNUp, tapOf(tap.FFNGate)),
		input("gate", "gate-of-layer-before", "the gate is the layer before's", tap.FFNGate, layersBack(1)),
		input("up", "up-of-layer-before", "the up projection is the layer before's", tap.FFNUp, layersBack(1)),
		{ID: "gate-missing", Aspect: whole, Taps: swigluTaps, Title: "the gate is left out: the up projection is passed on", Fix: "silu(gate) * up.",
			Variant: holds(func(of tap.Key) tap.Key { return tap.At(of.Step, of.Layer, tap.FFNUp) })},
		{ID: "gate-added", Aspect: whole, Taps: swigluTaps, Title: "up is added to silu(gate) instead of multiplied", Fix: "silu(gate) * up.",
			Variant: gated(func(g, u float64) float64 { return oracle.SiLU(g) + u })},
		{ID: "silu-of-product", Aspect: whole, Taps: swigluTaps, Title: "SiLU is applied to the product gate * up", Fix: "silu(gate) * up.",
			Variant: gated(func(g, u float64) float64 { return oracle.SiLU(g * u) })},
	}
}

// gated combines gate and up in another way altogether. Its noise is that of
// an exponential and a handful of roundings.
func gated(f func(g, u float64) float64) oracle.Variant {
	return oracle.Variant{Result: func(of tap.Key, y oracle.Rows, _ tap.Dims, fetch oracle.Fetch) (oracle.Rows, error) {
		g, errG := fetch(tap.At(of.Step, of.Layer, tap.FFNGate))
		u, errU := fetch(tap.At(of.Step, of.Layer, tap.FFNUp))
		if errG != nil || errU != nil || len(g.V) != len(y.V) || len(u.V) != len(y.V) {
			return oracle.Rows{}, oracle.ErrNotApplicable
		}
		return noisier(mapped(y, func(i int, _ float64) float64 { return f(g.V[i], u.V[i]) }), 16*f32), nil
	}}
}
