package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/traces/gguf/writer"
	"attndiff/traces/synth"
)

func synthCommand(a *App, fs *flag.FlagSet) func(context.Context, []string) (int, error) {
	shape := fs.String("shape", "tiny", "`NAME` of a shape: "+strings.Join(synth.Shapes(), " or ")+"; numbers below replace its own")
	out := fs.String("out", "", "GGUF `FILE` to write")
	typ := fs.String("type", "F16", "`TYPE` of the matrices: "+strings.Join(slices.Concat(writer.Types(), writer.QuantizedTypes()), ", "))
	seed := fs.Uint64("seed", 0, "`N` that all weights follow from")
	var n synth.Spec
	numbers := map[string]*int{
		"layers": &n.Layers, "embd": &n.Embd, "heads": &n.Heads, "heads-kv": &n.HeadsKV,
		"ff": &n.FF, "vocab": &n.Vocab, "context": &n.Context,
	}
	for name, p := range numbers {
		fs.IntVar(p, name, 0, "`N` instead of the shape's")
	}
	base := fs.Float64("rope-base", 0, "RoPE's base `N` instead of the shape's")
	untied := fs.Bool("untied", false, "give the model an output.weight of its own")
	zero := fs.Bool("zero-biases", false, "make all Q, K and V biases zero")
	return func(context.Context, []string) (int, error) {
		if *out == "" {
			return 0, errors.New("synth: no --out; name the GGUF file to write")
		}
		spec, err := synth.Named(*shape)
		if err != nil {
			return 0, fmt.Errorf("--shape: %w", err)
		}
		spec.Type, spec.Seed, spec.Untied, spec.ZeroBiases = *typ, *seed, *untied, *zero
		own := map[string]*int{
			"layers": &spec.Layers, "embd": &spec.Embd, "heads": &spec.Heads, "heads-kv": &spec.HeadsKV,
			"ff": &spec.FF, "vocab": &spec.Vocab, "context": &spec.Context,
		}
		fs.Visit(func(f *flag.Flag) {
			if p := numbers[f.Name]; p != nil {
				*own[f.Name] = *p
			}
			if f.Name == "rope-base" {
				spec.RopeBase = *base
			}
		})
		if err := engines.Synthesize(*out, spec); err != nil {
			return 0, &session.InputError{Err: err}
		}
		info, err := os.Stat(*out)
		if err != nil {
			return 0, err
		}
		m, err := engines.OpenModel(*out)
		if err != nil {
			return 0, err
		}
		defer m.Close()
		fmt.Fprintf(a.Stdout, "%s: %s, %d layers, %s, seed %d, %.1f MB\n", *out, spec.Name, spec.Layers, m.WeightTypes(), spec.Seed, float64(info.Size())/1e6)
		return Parity, nil
	}
}
