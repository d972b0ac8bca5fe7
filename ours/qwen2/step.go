package qwen2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"attndiff/ours/device"
	"attndiff/traces/execution"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Step feeds tokens, appends them to the KV cache and returns the last row's
// logits [V]. step numbers the recordings: 0 is the prefill, n the n-th
// decode. Each op's tensor goes to sink right after the op ran, if sink wants
// it; a nil sink records nothing. Logits of all rows go to the sink as
// result_output.
//
// The step fails on no tokens, on an id outside the vocabulary and when the
// cache has no room; the cache then holds what it held before.
func (m *Model) Step(step int, tokens []int32, sink trace.Sink) ([]float32, error) {
	if err := m.check(tokens); err != nil {
		return nil, fmt.Errorf("step %d: %w", step, err)
	}
	p := &pass{Model: m, step: step, dims: m.dims(len(tokens))}
	if err := m.buffers.fit(m.dev, p.dims, m.cache.capacity, m.path); err != nil {
		return nil, fmt.Errorf("step %d: %w", step, err)
	}
	if err := m.uploadTokens(tokens); err != nil {
		return nil, fmt.Errorf("step %d: %w", step, err)
	}
	ops := p.plan()
	if m.edit != nil {
		ops = m.edit(ops)
	}
	if sink != nil && step < len(execution.Phases) {
		if step == 0 {
			m.launches = nil
		}
		m.launches = append(m.launches, p.describe(ops))
	}
	for i := range ops {
		if err := ops[i].run(m.dev); err != nil {
			return nil, fmt.Errorf("%s: %w", ops[i].At, err)
		}
		if err := m.record(&ops[i], sink); err != nil {
			return nil, fmt.Errorf("recording %s: %w", ops[i].At, err)
		}
	}
	logits, err := m.lastLogits(len(tokens))
	if err != nil {
		return nil, fmt.Errorf("step %d: reading the logits: %w", step, err)
	}
	m.cache.used += len(tokens)
	m.rows = len(tokens)
	return logits, nil
}

// check refuses what a step cannot run on.
func (m *Model) check(tokens []int32) error {
	if len(tokens) == 0 {
		return errors.New("no tokens to feed")
	}
	if m.cache.used+len(tokens) > m.cache.capacity {
		return fmt.Errorf("%d tokens after %d cached exceed the KV cache of %d positions; load the model with a larger capacity",
			len(tokens), m.cache.used, m.cache.capacity)
	}
	for i, id := range tokens {
		if id < 0 || int(id) >= m.hparams.NVocab {
			return fmt.Errorf("token %d of the step is id %d; this model's ids are 0 to %d", i, id, m.hparams.NVocab-1)
		}
	}
	return nil
}

// dims returns the dims of the next step, of n tokens.
func (m *Model) dims(n int) tap.Dims {
	hp := &m.hparams
	return tap.Dims{
		T: n, P: m.cache.used,
		E: hp.NEmbd, H: hp.NHead, G: hp.NHeadKV, D: hp.HeadDim, F: hp.NFF, V: hp.NVocab,
	}
}

func (m *Model) uploadTokens(tokens []int32) error {
	raw := make([]byte, 0, len(tokens)*device.I32.Size())
	for _, id := range tokens {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(id))
	}
	return m.dev.Upload(m.buffers.tokens, 0, raw)
}

// record hands an op's tensor to sink when it is wanted.
func (m *Model) record(op *Op, sink trace.Sink) error {
	if sink == nil || op.Out.Buffer == nil || !sink.Wants(op.At) {
		return nil
	}
	n := op.Out.Bytes()
	if cap(m.scratch) < n {
		m.scratch = make([]byte, n)
	}
	raw := m.scratch[:n]
	if err := m.dev.Download(raw, op.Out.Buffer, op.Out.Offset); err != nil {
		return err
	}
	return sink.Put(op.At, op.Out.Type, op.Out.Shape, raw)
}

// lastLogits downloads the last of a step's rows of logits.
func (m *Model) lastLogits(rows int) ([]float32, error) {
	raw := make([]byte, m.rowBytes())
	if err := m.dev.Download(raw, m.buffers.tap[tap.ResultOutput], (rows-1)*len(raw)); err != nil {
		return nil, err
	}
	logits := make([]float32, m.hparams.NVocab)
	for i := range logits {
		logits[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return logits, nil
}

// rowBytes is the size of one row of logits.
func (m *Model) rowBytes() int { return m.hparams.NVocab * device.F32.Size() }

// ChoiceKernel is the kernel that makes the greedy choice; it writes no tap.
const ChoiceKernel = "argmax"

// Argmax returns the most likely token after the last step: the index of the
// largest logit of its last row, the lowest among equals, chosen on the device
// (argmax.cu). NaN never wins; a row without a number gives 0.
func (m *Model) Argmax() (int32, error) {
	if m.rows == 0 {
		return 0, errors.New("argmax before any step: there are no logits yet")
	}
	last := device.Pointer{Buffer: m.buffers.tap[tap.ResultOutput], Offset: (m.rows - 1) * m.rowBytes()}
	err := m.dev.Launch(device.Launch{
		Kernel: ChoiceKernel,
		Grid:   device.Dim3{X: 1},
		Block:  device.Dim3{X: rowThreads},
		Args:   []device.Arg{last, start(m.buffers.best), device.Int(m.hparams.NVocab)},
		Writes: []device.Region{{Buffer: m.buffers.best, Length: device.I32.Size(), Fresh: true, Type: device.I32}},
		At:     tap.At(0, tap.NoLayer, tap.ResultOutput),
	})
	if err != nil {
		return 0, fmt.Errorf("argmax: %w", err)
	}
	raw := make([]byte, device.I32.Size())
	if err := m.dev.Download(raw, m.buffers.best, 0); err != nil {
		return 0, fmt.Errorf("argmax: %w", err)
	}
	return int32(binary.LittleEndian.Uint32(raw)), nil
}

// Reset empties the KV cache: the next step starts a new text at position 0.
func (m *Model) Reset() {
	m.cache.used = 0
	m.rows = 0
}
