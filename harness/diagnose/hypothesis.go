package diagnose

import (
	"slices"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// Hypothesis is one mistake that people make at an op.
type Hypothesis struct {
	ID    string // short and stable: "rope-interleaved-pairs"
	Title string // what is computed instead, in one clause
	Fix   string // the change, as an engineer would say it
	// Aspect is the part of the op that the mistake is about ("scale", "mask",
	// "heads"); a pair of mistakes in one op is of two aspects.
	Aspect  string
	Taps    []tap.Tap // ops it can be made at
	Variant oracle.Variant
}

// Catalogue returns the hypotheses for an op of this model, in a fixed order.
func Catalogue(t tap.Tap, m Model) []Hypothesis {
	var out []Hypothesis
	for _, family := range families {
		for _, h := range family(m) {
			if slices.Contains(h.Taps, t) {
				out = append(out, h)
			}
		}
	}
	return out
}

// Model is what a family of hypotheses may depend on.
type Model struct {
	Dims   tap.Dims // widths; T and P are 0
	Layers int
	KVType string
	RMSEps float64
	Base   float64 // RoPE base
	Tokens int     // fed in the whole run
}

// families build the catalogue, one per part of the forward pass.
var families = []func(Model) []Hypothesis{
	rotations,
}

// semantic is a hypothesis that changes what the op means.
func semantic(change func(*oracle.Semantics)) oracle.Variant {
	return oracle.Variant{Semantics: func(_ tap.Key, s *oracle.Semantics) { change(s) }}
}
