package synth

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attndiff/traces/gguf/writer"
	"attndiff/traces/trace"
)

// Spec says which model to write. Two equal specs give equal files.
type Spec struct {
	Name     string // general.name
	Layers   int
	Embd     int // E, a multiple of Heads
	Heads    int // H, a multiple of HeadsKV
	HeadsKV  int // G
	FF       int // F
	Vocab    int // V, at least MinVocab
	Context  int // positions
	RopeBase float64
	RMSEps   float64
	Type     string // of the matrices: F32, F16, BF16 or Q8_0, or a type that needs a quantiser
	Seed     uint64

	Untied     bool // an output.weight of its own
	ZeroBiases bool // all of Q, K and V: a model that cannot show a missing bias
}

// named are the shapes known by name. Both keep what is odd about Qwen2.5's:
// tied embeddings, several query heads to a KV head, F that is no multiple of E.
var named = []Spec{
	{Name: "qwen2.5-0.5b", Layers: 24, Embd: 896, Heads: 14, HeadsKV: 2, FF: 4864, Vocab: 151936,
		Context: 32768, RopeBase: 1e6, RMSEps: 1e-6, Type: "F16"},
	{Name: "tiny", Layers: 2, Embd: 128, Heads: 4, HeadsKV: 2, FF: 160, Vocab: 300,
		Context: 2048, RopeBase: 1e6, RMSEps: 1e-6, Type: "F16"},
}

// Shapes lists the names that [Named] knows.
func Shapes() []string {
	var names []string
	for _, s := range named {
		names = append(names, s.Name)
	}
	return names
}

// Named returns the spec of a named shape: type F16, seed 0.
func Named(name string) (Spec, error) {
	for _, s := range named {
		if s.Name == name {
			return s, nil
		}
	}
	return Spec{}, fmt.Errorf("unknown shape %q; the shapes are %s", name, strings.Join(Shapes(), ", "))
}

// maxLayers is llama.cpp's LLAMA_MAX_LAYERS.
const maxLayers = 512

// Validate says what is wrong with a spec, naming the number and the rule.
func (s Spec) Validate() error {
	for _, n := range []struct {
		what string
		v    int
		min  int
		max  int
	}{
		{"layers", s.Layers, 1, maxLayers},
		{"embd", s.Embd, 2, 1 << 16},
		{"heads", s.Heads, 1, 1 << 10},
		{"heads-kv", s.HeadsKV, 1, 1 << 10},
		{"ff", s.FF, 1, 1 << 18},
		{"vocab", s.Vocab, MinVocab, 1 << 20},
		{"context", s.Context, 1, 1 << 20},
	} {
		if n.v < n.min || n.v > n.max {
			return fmt.Errorf("synthetic model: %s is %d; choose %d to %d", n.what, n.v, n.min, n.max)
		}
	}
	if s.Heads%s.HeadsKV != 0 {
		return fmt.Errorf("synthetic model: %d heads are not a multiple of %d KV heads", s.Heads, s.HeadsKV)
	}
	if s.Embd%s.Heads != 0 || s.Embd/s.Heads%2 != 0 {
		return fmt.Errorf("synthetic model: embd %d must be a multiple of %d heads, with an even head size", s.Embd, s.Heads)
	}
	if !(s.RopeBase > 1 && s.RopeBase <= math.MaxFloat32) {
		return fmt.Errorf("synthetic model: rope base is %v; choose one above 1", s.RopeBase)
	}
	if !(s.RMSEps > 0 && s.RMSEps < 1) {
		return fmt.Errorf("synthetic model: rms eps is %v; choose one between 0 and 1", s.RMSEps)
	}
	if types := slices.Concat(writer.Types(), writer.QuantizedTypes()); !slices.Contains(types, s.Type) {
		return fmt.Errorf("synthetic model: type is %q; the types are %s", s.Type, strings.Join(types, ", "))
	}
	if s.Type == "Q8_0" && (s.Embd%32 != 0 || s.FF%32 != 0) {
		return fmt.Errorf("synthetic model: Q8_0 needs embd %d and ff %d to be multiples of 32", s.Embd, s.FF)
	}
	return nil
}

// hparams returns the spec as hyperparameters.
func (s Spec) hparams() trace.Hparams {
	return trace.Hparams{NLayer: s.Layers, NEmbd: s.Embd, NHead: s.Heads, NHeadKV: s.HeadsKV,
		HeadDim: s.Embd / s.Heads, NFF: s.FF, NVocab: s.Vocab,
		RopeFreqBase: s.RopeBase, RopeType: "neox", RMSEps: s.RMSEps}
}

// Write writes the model, of a type that needs no quantiser. Its memory does not
// grow with the model, and the file appears only when it is complete.
func Write(path string, s Spec) error { return WriteQuantized(path, s, nil) }

// WriteQuantized is [Write] for a model of any type.
func WriteQuantized(path string, s Spec, quantize writer.Quantizer) error {
	if err := s.Validate(); err != nil {
		return err
	}
	m := s.Model()
	m.Quantize = quantize
	return writer.WriteFile(path, m)
}

// Model returns what [Write] writes, for whoever wants some of its values
// otherwise. The spec is a valid one.
func (s Spec) Model() writer.Model {
	return writer.Model{
		Name: s.Name, Hparams: s.hparams(), ContextLength: s.Context,
		Type: s.Type, Tied: !s.Untied, Vocab: vocabulary(s.Vocab), Fill: s.fill,
	}
}
