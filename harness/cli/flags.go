package cli

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/ours/faults"
	"attndiff/ours/qwen2"
	"attndiff/traces/tap"
)

// runFlags are what diff and record share: model, prompt, what to run and what
// to record.
type runFlags struct {
	fs *flag.FlagSet

	model                    string
	prompt, promptText       string
	promptFile, tokens       string
	steps                    int
	kv                       string
	flash                    bool
	path                     string
	layers, taps, faultNames string
	timeout                  time.Duration
	json                     bool
}

func (f *runFlags) declare(fs *flag.FlagSet) {
	f.fs = fs
	fs.StringVar(&f.model, "model", "", "GGUF `FILE` to run (default: the shipped model)")
	fs.StringVar(&f.prompt, "prompt", "", "`NAME` of a prompt in traces/prompts (default haiku)")
	fs.StringVar(&f.promptText, "prompt-text", "", "the prompt's `TEXT`; special tokens are parsed")
	fs.StringVar(&f.promptFile, "prompt-file", "", "`FILE` that holds the prompt's text")
	fs.StringVar(&f.tokens, "tokens", "", "the prompt as token `IDS`, separated by commas")
	fs.IntVar(&f.steps, "steps", defaultSteps, "`N` tokens to decode after the prompt")
	fs.StringVar(&f.kv, "kv", "f16", "`TYPE` of the KV cache: f16 or f32")
	fs.BoolVar(&f.flash, "flash-attn", false, "run llama.cpp with flash attention, which has no kq and no kq_soft_max")
	fs.StringVar(&f.path, "path", string(qwen2.Unfused), "`PATH` our attention takes: unfused, or fused, which has no kq and no kq_soft_max")
	fs.StringVar(&f.layers, "layers", "", "record only layers `A-B`")
	fs.StringVar(&f.taps, "taps", "", "record only these `TAPS`, separated by commas")
	fs.StringVar(&f.faultNames, "fault", "", "plant the faults `NAMES` in ours; `attndiff faults` lists them")
	fs.DurationVar(&f.timeout, "timeout", 10*time.Minute, "longest `TIME` an engine may take")
	fs.BoolVar(&f.json, "json", false, "print JSON on standard output and nothing else there")
}

// defaultSteps is how many tokens are decoded when nothing is said.
const defaultSteps = 8

// given reports whether a flag was set on the command line.
func (f *runFlags) given(name string) bool {
	found := false
	f.fs.Visit(func(g *flag.Flag) { found = found || g.Name == name })
	return found
}

// refuse returns an error when any of the flags was given.
func (f *runFlags) refuse(why string, names ...string) error {
	for _, n := range names {
		if f.given(n) {
			return fmt.Errorf("--%s: %s; leave it out", n, why)
		}
	}
	return nil
}

// oursOnly refuses what only our own engines have where flag names another one.
func (f *runFlags) oursOnly(flag, engine string) error {
	own := fmt.Sprintf("use --%s %s or %s", flag, engines.OursEmu, engines.OursCUDA)
	switch {
	case engine == engines.OursEmu || engine == engines.OursCUDA:
		return nil
	case f.given("fault"):
		return fmt.Errorf("--fault: planted in ours only, not in %s; %s", engine, own)
	case f.given("path"):
		return fmt.Errorf("--path: only ours has attention paths, not %s; %s", engine, own)
	}
	return nil
}

// check rejects values that no run could use.
func (f *runFlags) check() error {
	switch {
	case f.steps < 0:
		return fmt.Errorf("--steps %d: less than none; give 0 or more", f.steps)
	case f.steps > maxSteps:
		return fmt.Errorf("--steps %d: a trace numbers its steps with four digits; give %d at most", f.steps, maxSteps)
	case f.kv != "f16" && f.kv != "f32":
		return fmt.Errorf("--kv %q: unknown type of KV cache; give f16 or f32", f.kv)
	case f.timeout <= 0:
		return fmt.Errorf("--timeout %v: no time at all; give a duration such as 10m", f.timeout)
	}
	_, err := qwen2.ParsePath(f.path)
	if err != nil {
		return fmt.Errorf("--path: %w", err)
	}
	return nil
}

// maxSteps is the last step a trace can name, step 0 being the prefill.
const maxSteps = 9999

// faults checks and splits --fault.
func (f *runFlags) faults() ([]string, error) {
	chosen, err := faults.Select(f.faultNames)
	if err == nil {
		err = faults.Check(chosen, f.attention())
	}
	if err != nil {
		return nil, fmt.Errorf("--fault: %w", err)
	}
	names := make([]string, len(chosen))
	for i, c := range chosen {
		names[i] = c.Name
	}
	return names, nil
}

// attention is what --path names, checked before.
func (f *runFlags) attention() qwen2.Path {
	path, err := qwen2.ParsePath(f.path)
	if err != nil {
		return qwen2.Unfused
	}
	return path
}

// selection reads --layers and --taps for a model of so many layers.
func (f *runFlags) selection(layers int) (s session.Selection, err error) {
	if f.given("taps") {
		if s.Taps, err = tap.ParseList(f.taps); err != nil {
			return s, fmt.Errorf("--taps: %w", err)
		}
		if s.Taps == nil {
			return s, errors.New("--taps: no tap named; leave it out to record all")
		}
	}
	if f.given("layers") {
		first, last, err := parseLayers(f.layers)
		if err != nil {
			return s, err
		}
		if last >= layers {
			return s, fmt.Errorf("--layers %s: the model has %d layers; give layers from 0 to %d", f.layers, layers, layers-1)
		}
		s.Layers = &[2]int{first, last}
	}
	return s, nil
}

// parseLayers reads "3" or "0-3".
func parseLayers(text string) (first, last int, err error) {
	a, b, ranged := strings.Cut(text, "-")
	if !ranged {
		b = a
	}
	first, errA := strconv.Atoi(strings.TrimSpace(a))
	last, errB := strconv.Atoi(strings.TrimSpace(b))
	if errA != nil || errB != nil || first < 0 || last < first {
		return 0, 0, fmt.Errorf("--layers %q: not a range of layers; write A-B with A at most B, such as 0-2", text)
	}
	return first, last, nil
}

// parseTokens reads "1,2,3".
func parseTokens(text string) ([]int32, error) {
	var ids []int32
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt32 {
			return nil, fmt.Errorf("--tokens: %q is not a token id; write ids as 1,2,3", part)
		}
		ids = append(ids, int32(n))
	}
	return ids, nil
}
