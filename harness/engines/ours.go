package engines

import (
	"errors"
	"strings"

	"attndiff/harness/session"
	"attndiff/ours/emu"
	"attndiff/ours/faults"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
	"attndiff/traces/gguf"
	"attndiff/traces/trace"
)

// ours is our forward pass on one of its devices.
type ours struct {
	*qwen2.Model
	dev   *emu.Device
	vocab *gguf.Vocab
	info  session.Info
}

// openEmu opens our kernels compiled for the CPU, with faults planted and with
// the emulator's checks on. A run goes on after a check fails, so that the
// verdict shows what came of it; Warnings says which kernel it was. A seed
// shuffles the order of blocks and threads, which no correct kernel depends on.
func openEmu(spec session.Spec) (session.Engine, error) {
	planted, err := faults.Select(strings.Join(spec.Faults, ","))
	if err != nil {
		return nil, &session.InputError{Err: err}
	}
	src, edit, err := faults.Apply(planted, kernels.Default())
	if err != nil {
		return nil, &session.InputError{Err: err}
	}
	f, err := OpenModel(spec.Model)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	vocab, err := f.Vocab()
	if err != nil {
		return nil, &session.InputError{Err: err}
	}
	options := emu.Options{Checks: true, Ordinary: spec.Ordinary}
	if spec.Seed != 0 {
		options.Order, options.Seed = "shuffle", int64(spec.Seed)
	}
	dev, err := emu.Open(src, options)
	if err != nil {
		return nil, err
	}
	m, err := qwen2.Load(dev, f, qwen2.Options{KV: spec.KV, Capacity: spec.Context, Edit: edit})
	if err != nil {
		return nil, errors.Join(err, dev.Close())
	}
	return &ours{m, dev, vocab, session.Info{
		Engine: OursEmu, Version: qwen2.Version(src), Device: dev.Name(), Hparams: m.Hparams(),
	}}, nil
}

func (o *ours) Info() session.Info { return o.info }

// Tokenize fails: ours receives ids, never text.
func (o *ours) Tokenize(string) ([]int32, error) {
	return nil, &session.InputError{Err: errors.New("ours takes token ids, not text; give --tokens")}
}

// Warnings lists what kernels did that a GPU would not have reported: writes
// out of bounds, outputs left unwritten.
func (o *ours) Warnings() []string {
	var list []string
	for _, v := range o.dev.Violations() {
		list = append(list, v.Error())
	}
	return list
}

func (o *ours) IsEOG(id int32) bool { return o.vocab.IsEOG(id) }

func (o *ours) Step(step int, tokens []int32, sink trace.Sink) ([]float32, error) {
	return o.Model.Step(step, tokens, sink)
}

func (o *ours) Reset() error {
	o.Model.Reset()
	return nil
}
