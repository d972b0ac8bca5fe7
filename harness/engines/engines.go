package engines

import (
	"errors"
	"fmt"
	"strings"

	"attndiff/harness/session"
	"attndiff/ours/cuda"
	"attndiff/reference/llamacpp"
)

// The engines' names.
const (
	LlamaCPU  = "llama.cpp:cpu"
	LlamaCUDA = "llama.cpp:cuda"
	OursEmu   = "ours:emu"
	OursCUDA  = "ours:cuda"
)

// open holds what opens each engine of this build.
var open = map[string]func(session.Spec) (session.Engine, error){
	LlamaCPU:  openLlama,
	LlamaCUDA: openLlama,
	OursEmu:   openEmu,
	OursCUDA:  openCUDA,
}

// Auto stands for our engine on the GPU where there is one, else on the CPU.
const Auto = "auto"

// Choose returns the engine that Auto stands for on this machine, and why.
func Choose() (name, why string) {
	if err := cuda.Available(); err != nil {
		reason, _, _ := strings.Cut(err.Error(), "; ") // without the cure
		return OursEmu, reason
	}
	return OursCUDA, "there is a GPU"
}

// Open opens the engine that a spec names.
func Open(spec session.Spec) (session.Engine, error) {
	if err := Check(spec.Engine); err != nil {
		return nil, &session.InputError{Err: err}
	}
	return open[spec.Engine](spec)
}

// Check says why an engine cannot be run, nil when it can as far as a look can
// tell: libraries are loaded when the engine opens.
func Check(name string) error {
	switch name {
	case LlamaCUDA:
		if _, err := llamacpp.FindBackend(); err != nil {
			return fmt.Errorf("engine %s: %w; or use %s", name, err, LlamaCPU)
		}
	case OursCUDA:
		if err := cuda.Available(); err != nil {
			return fmt.Errorf("engine %s: %w; or use %s", name, err, OursEmu)
		}
	}
	if open[name] != nil {
		return nil
	}
	switch {
	case strings.HasPrefix(name, "exec:"):
		return fmt.Errorf("engine exec: not available in this build; record a trace with that program and give it as trace:FILE")
	case name == "":
		return errors.New("engine: no name given; the engines are " + names)
	}
	return fmt.Errorf("unknown engine %q; the engines are %s", name, names)
}

// names lists what --reference, --ours and --engine take.
const names = LlamaCPU + ", " + LlamaCUDA + ", " + OursEmu + ", " + OursCUDA + " and trace:FILE"
