package exam

import (
	"fmt"

	"attndiff/ours/emu"
	"attndiff/ours/faults"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// replay runs ours once more over a recording of ours, op by op: after each op
// its result is replaced by the one recorded, so that every op reads exactly
// what it read when the recording was made. What it computes from that goes to
// a sink that compares. With all faults but one planted, the ops that come out
// other than recorded are those that the one fault changes, wherever in the
// run they are.
type replay struct {
	from *trace.Reader
	dev  *emu.Device
	outs map[tap.Key]qwen2.Tensor // where the step's ops leave what they record
	see  func(k tap.Key, dt trace.DType, shape []int, own []byte) error
	raw  []byte
}

// replayed runs ours with the given faults over a recording.
func replayed(model *gguf.File, from *trace.Reader, planted []faults.Fault, ordinary bool,
	see func(k tap.Key, dt trace.DType, shape []int, own []byte) error) error {
	src, edit, err := faults.Apply(planted, kernels.Default())
	if err != nil {
		return err
	}
	dev, err := emu.Open(src, emu.Options{Checks: true, Ordinary: ordinary})
	if err != nil {
		return err
	}
	defer dev.Close()
	r := &replay{from: from, dev: dev, see: see}
	meta := from.Meta()
	m, err := qwen2.Load(dev, model, qwen2.Options{KV: meta.Hparams.KVType, Capacity: len(meta.Tokens),
		Edit: func(ops []qwen2.Op) []qwen2.Op {
			if edit != nil {
				ops = edit(ops)
			}
			r.remember(ops)
			return ops
		}})
	if err != nil {
		return err
	}
	tokens := meta.Tokens
	for step, n := range meta.Steps {
		if _, err := m.Step(step, tokens[:n], r); err != nil {
			return fmt.Errorf("replaying %v: %w", planted, err)
		}
		tokens = tokens[n:]
	}
	return nil
}

func (r *replay) remember(ops []qwen2.Op) {
	r.outs = map[tap.Key]qwen2.Tensor{}
	for _, op := range ops {
		if op.Out.Buffer != nil {
			r.outs[op.At] = op.Out
		}
	}
}

// Wants reports whether there is something to replace the op's result by.
func (r *replay) Wants(k tap.Key) bool {
	_, ok := r.from.Info(k)
	return ok
}

// Put looks at what an op computed and replaces it by what was recorded.
func (r *replay) Put(k tap.Key, dt trace.DType, shape []int, raw []byte) error {
	if err := r.see(k, dt, shape, raw); err != nil {
		return err
	}
	var err error
	if r.raw, err = r.from.Raw(k, r.raw); err != nil {
		return err
	}
	out := r.outs[k]
	if len(r.raw) != out.Bytes() {
		return nil // recorded in another shape: nothing to go on with but its own
	}
	return r.dev.Upload(out.Buffer, out.Offset, r.raw)
}
