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
	// "heads"); two mistakes in one op are about two aspects.
	Aspect  string
	Taps    []tap.Tap // ops it can be made at
	Variant oracle.Variant
	// Leaves says that the elements left undefined are memory that the op did not
	// write, not numbers computed from such memory.
	Leaves bool
	// Fitted says that it chooses all values of a step so that they explain ours:
	// what explains it as well without choosing is more likely.
	Fitted bool
}

// Model is what a family of hypotheses may depend on.
type Model struct {
	Dims   tap.Dims // widths; T and P are 0
	Layers int
	KVType string
	Right  oracle.Semantics // what llama.cpp means by each op
	Steps  []int            // tokens per step of the run
	// Vector reads a norm weight or bias by its GGUF name; nil when the model has
	// none.
	Vector func(name string) []float64
}

// families build the catalogue, one per part of the forward pass. Within a
// family the more common mistake comes first: where two are the same
// computation, the first is named.
var families = []func(Model) []Hypothesis{
	absentMistakes,
	embeddingMistakes,
	normMistakes, normInputMistakes, normSumMistakes, normFactorMistakes,
	matrixMistakes, operandMistakes, productMistakes,
	biasMistakes,
	rotationMistakes, rotationHeadMistakes, angleMistakes,
	cacheRowMistakes, cacheContentMistakes,
	headMapMistakes, scoreMistakes,
	scaleMistakes, maskMistakes, normaliserMistakes, scoreFormMistakes,
	weightedSumMistakes,
	residualMistakes,
	activationMistakes,
	lengthMistakes,
	precisionMistakes, coverageMistakes, leftoverMistakes, finiteMistakes,
}

// Catalogue returns the hypotheses for an op of this model, in a fixed order:
// the more common of two comes first where both are the same computation. Each
// acts at that op alone.
func Catalogue(t tap.Tap, m Model) []Hypothesis {
	var out []Hypothesis
	for _, family := range families {
		for _, h := range family(m) {
			if slices.Contains(h.Taps, t) {
				h.Variant = h.Variant.At(t)
				out = append(out, h)
			}
		}
	}
	return out
}
