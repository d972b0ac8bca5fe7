package engines

import (
	"errors"
	"os"
	"strings"

	"attndiff/harness/session"
	"attndiff/ours/cuda"
	"attndiff/ours/device"
	"attndiff/ours/emu"
	"attndiff/ours/faults"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// ours is our forward pass on one of its devices.
type ours struct {
	*qwen2.Model
	warnings func() []session.Warning
	vocab    *gguf.Vocab
	info     session.Info
	kernels  kernels.Source
}

// opened is a device with kernels, ready for a model.
type opened struct {
	device.Device
	warnings func() []session.Warning
}

// openEmu opens our kernels compiled for the CPU, with the emulator's checks
// on. A run goes on after a check fails, so that the verdict shows what came of
// it; Warnings says which kernel it was. A seed shuffles the order of blocks
// and threads, places buffers so that a read outside of them is stopped - past
// the end by an odd seed, before the start by an even one - and has memory that
// nobody wrote hold a huge number. No correct kernel depends on any of these.
func openEmu(spec session.Spec) (session.Engine, error) {
	return Emulate(spec, kernels.Default(), Variation{})
}

// Variation is what sets a run on the emulator apart from one of ours:emu, for
// whoever measures the harness.
type Variation struct {
	Multiprocessors int                         // of the GPU it passes for; 0 for the emulator's own
	Edit            func([]qwen2.Op) []qwen2.Op // of each step, unless nil
	Watch           func(device.Launch)         // told of every launch, unless nil
}

// Emulate opens other kernels than this repository's, or these in another way,
// as ours:emu.
func Emulate(spec session.Spec, src kernels.Source, v Variation) (session.Engine, error) {
	return openOurs(spec, src, v.Edit, func(src kernels.Source) (opened, error) {
		options := emu.Options{Checks: true, Ordinary: spec.Ordinary, Bounds: spec.Bounds, Multiprocessors: v.Multiprocessors, Watch: v.Watch}
		if spec.Seed != 0 {
			options.Order, options.Seed = "shuffle", int64(spec.Seed)
			odd := spec.Seed % 2
			options.Edge, options.Huge = []string{"start", "end"}[odd], []int{-1, 1}[odd]
		}
		dev, err := emu.Open(src, options)
		if err != nil {
			return opened{}, err
		}
		return opened{dev, func() (list []session.Warning) {
			for _, v := range dev.Violations() {
				list = append(list, warning(v.Kernel, v.At, v.What))
			}
			return list
		}}, nil
	})
}

// uncheckedVariable, set to "off", runs the GPU without the device's checks:
// for NVIDIA's own checkers, which must see memory as nobody filled it, and for
// timing.
const uncheckedVariable = "ATTNDIFF_CUDA_CHECKS"

// openCUDA opens our kernels on the GPU, with the device's checks on. It has
// no use for a seed: a GPU runs blocks and warps in an order of its own.
func openCUDA(spec session.Spec) (session.Engine, error) {
	return openOurs(spec, kernels.Default(), nil, func(src kernels.Source) (opened, error) {
		dev, err := cuda.Open(src, cuda.Options{Checks: os.Getenv(uncheckedVariable) != "off", Ordinary: spec.Ordinary})
		if err != nil {
			return opened{}, err
		}
		return opened{dev, func() (list []session.Warning) {
			for _, v := range dev.Violations() {
				list = append(list, warning(v.Kernel, v.At, v.What))
			}
			return list
		}}, nil
	})
}

// warning is a device's violation as a session passes it on.
func warning(kernel string, at tap.Key, what string) session.Warning {
	return session.Warning{Kernel: kernel, At: at.String(), Tap: at.Tap.String(), What: what}
}

// openOurs opens the device that open gives for the kernels with the spec's
// faults planted, and puts the model on it. Steps are edited by edit, unless nil,
// and then as the faults do it.
func openOurs(spec session.Spec, src kernels.Source, edit func([]qwen2.Op) []qwen2.Op,
	open func(kernels.Source) (opened, error)) (session.Engine, error) {
	planted, err := faults.Select(strings.Join(spec.Faults, ","))
	if err != nil {
		return nil, &session.InputError{Err: err}
	}
	path, err := qwen2.ParsePath(spec.Path)
	if err == nil {
		err = faults.Check(planted, path)
	}
	if err != nil {
		return nil, &session.InputError{Err: err}
	}
	src, plant, err := faults.Apply(planted, src)
	if err != nil {
		return nil, &session.InputError{Err: err}
	}
	f, err := OpenModel(spec.Model)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	hp := f.Hparams
	hp.KVType = spec.KV
	if err := path.Check(hp); err != nil {
		return nil, &session.InputError{Err: err}
	}
	vocab, err := f.Vocab()
	if err != nil {
		return nil, &session.InputError{Err: err}
	}
	dev, err := open(src)
	if err != nil {
		return nil, err
	}
	m, err := qwen2.Load(dev, f, qwen2.Options{KV: spec.KV, Capacity: spec.Context, Path: path, Edit: both(edit, plant)})
	if err != nil {
		return nil, errors.Join(err, dev.Close())
	}
	return &ours{m, dev.warnings, vocab, session.Info{
		Engine: spec.Engine, Version: qwen2.Version(src, path), Device: dev.Name(), Hparams: m.Hparams(),
	}, src}, nil
}

// both edits a step by one after the other; either may be nil.
func both(first, then func([]qwen2.Op) []qwen2.Op) func([]qwen2.Op) []qwen2.Op {
	switch {
	case first == nil:
		return then
	case then == nil:
		return first
	}
	return func(ops []qwen2.Op) []qwen2.Op { return then(first(ops)) }
}

func (o *ours) Info() session.Info { return o.info }

// Tokenize fails: ours receives ids, never text.
func (o *ours) Tokenize(string) ([]int32, error) {
	return nil, &session.InputError{Err: errors.New("ours takes token ids, not text; give --tokens")}
}

// Warnings lists what kernels did that a GPU does not report: writes out of
// bounds, outputs left unwritten.
func (o *ours) Warnings() []session.Warning { return o.warnings() }

func (o *ours) IsEOG(id int32) bool { return o.vocab.IsEOG(id) }

func (o *ours) Step(step int, tokens []int32, sink trace.Sink) ([]float32, error) {
	return o.Model.Step(step, tokens, sink)
}

// Choose returns the greedy choice that argmax.cu made on the device.
func (o *ours) Choose() (int32, error) { return o.Argmax() }

func (o *ours) Reset() error {
	o.Model.Reset()
	return nil
}
