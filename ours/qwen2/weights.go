package qwen2

import (
	"encoding/binary"
	"fmt"
	"math"

	"attndiff/ours/device"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
)

// matrix is a weight on the device: row-major [out,in], which cuBLAS reads as
// column-major [in,out] with leading dimension in.
type matrix struct {
	device.Matrix
	out, in int
}

// weights are a model's parameters on the device. Norms and biases are f32.
type weights struct {
	embd       matrix // [V,E]
	layers     []layerWeights
	outputNorm device.Pointer // [E]
	output     matrix         // [V,E], the embedding itself when tied
}

type layerWeights struct {
	attnNorm, ffnNorm   device.Pointer // [E]
	q, k, v, o          matrix         // [H*D,E] [G*D,E] [G*D,E] [E,H*D]
	qBias, kBias, vBias device.Pointer // [H*D] [G*D] [G*D]
	gate, up, down      matrix         // [F,E] [F,E] [E,F]
}

// loader uploads tensors one by one and remembers the first error, so that the
// list of weights reads as a list.
type loader struct {
	dev    device.Device
	file   *gguf.File
	blocks device.Buffer // quantised blocks on their way to f32
	err    error
}

// loadWeights uploads every tensor of f.
func loadWeights(dev device.Device, f *gguf.File) (*weights, error) {
	ld := &loader{dev: dev, file: f}
	w := &weights{
		embd:       ld.matrix(gguf.TokenEmbd, tap.At(0, tap.NoLayer, tap.InpEmbd)),
		layers:     make([]layerWeights, f.Hparams.NLayer),
		outputNorm: ld.vector(gguf.OutputNorm),
	}
	for l := range w.layers {
		matrix := func(name string, t tap.Tap) matrix { return ld.matrix(gguf.LayerName(l, name), tap.At(0, l, t)) }
		vector := func(name string) device.Pointer { return ld.vector(gguf.LayerName(l, name)) }
		w.layers[l] = layerWeights{
			attnNorm: vector("attn_norm.weight"),
			ffnNorm:  vector("ffn_norm.weight"),
			q:        matrix("attn_q.weight", tap.QProj),
			k:        matrix("attn_k.weight", tap.KProj),
			v:        matrix("attn_v.weight", tap.VProj),
			o:        matrix("attn_output.weight", tap.AttnOut),
			qBias:    vector("attn_q.bias"),
			kBias:    vector("attn_k.bias"),
			vBias:    vector("attn_v.bias"),
			gate:     matrix("ffn_gate.weight", tap.FFNGate),
			up:       matrix("ffn_up.weight", tap.FFNUp),
			down:     matrix("ffn_down.weight", tap.FFNOut),
		}
	}
	w.output = w.embd
	if f.Output() != gguf.TokenEmbd {
		w.output = ld.matrix(f.Output(), tap.At(0, tap.NoLayer, tap.ResultOutput))
	}
	return w, ld.err
}

// chunkBytes bounds what is read from the file at a time.
const chunkBytes = 4 << 20

// matrix uploads a matrix: F32, F16 and BF16 as they are, Q8_0 through the
// dequantising kernel, other types as the f32 that the file decodes them to.
// at names the tap that the matrix serves, for errors.
func (ld *loader) matrix(name string, at tap.Key) matrix {
	t, ok := ld.file.Tensor(name)
	if ld.err == nil && !ok {
		ld.err = fmt.Errorf("model %s: tensor %q is missing; convert the model again", ld.file.Path, name)
	}
	if ld.err != nil {
		return matrix{}
	}
	out, in := t.Rows(), t.Cols()
	dtype, stored := map[string]device.DType{"F32": device.F32, "F16": device.F16, "BF16": device.BF16}[t.Type]
	b, err := ld.dev.Alloc(out*in*dtype.Size(), name)
	if err != nil {
		ld.err = err
		return matrix{}
	}
	step := min(out, max(1, chunkBytes/(in*device.F32.Size())))
	for row := 0; row < out && ld.err == nil; row += step {
		rows := min(step, out-row)
		dst := device.Pointer{Buffer: b, Offset: row * in * dtype.Size()}
		switch {
		case stored:
			ld.err = ld.copyRows(dst, name, row, rows)
		case t.Type == "Q8_0":
			ld.err = ld.dequantRows(dst, name, row, rows, in, at)
		default:
			ld.err = ld.decodeRows(dst, name, row, rows)
		}
	}
	return matrix{Matrix: device.Matrix{Pointer: start(b), Type: dtype, Ld: in}, out: out, in: in}
}

// vector uploads a norm weight or a bias as f32.
func (ld *loader) vector(name string) device.Pointer {
	if ld.err != nil {
		return device.Pointer{}
	}
	values, err := ld.file.Float32(name)
	if err != nil {
		ld.err = err
		return device.Pointer{}
	}
	raw := f32Bytes(values)
	b, err := ld.dev.Alloc(len(raw), name)
	if err == nil {
		err = ld.dev.Upload(b, 0, raw)
	}
	ld.err = err
	return start(b)
}

// copyRows uploads rows as the file stores them.
func (ld *loader) copyRows(dst device.Pointer, name string, row, n int) error {
	raw, err := ld.file.RawRows(name, row, row+n)
	if err != nil {
		return err
	}
	return ld.dev.Upload(dst.Buffer, dst.Offset, raw)
}

// decodeRows uploads rows as the f32 values that the file decodes them to.
func (ld *loader) decodeRows(dst device.Pointer, name string, row, n int) error {
	values, err := ld.file.Float32Rows(name, row, row+n)
	if err != nil {
		return err
	}
	return ld.dev.Upload(dst.Buffer, dst.Offset, f32Bytes(values))
}

// dequantRows uploads rows of Q8_0 blocks and expands them on the device
// (dequant.cu).
func (ld *loader) dequantRows(dst device.Pointer, name string, row, n, in int, at tap.Key) error {
	raw, err := ld.file.RawRows(name, row, row+n)
	if err != nil {
		return err
	}
	if err := grow(ld.dev, &ld.blocks, len(raw), "q8_0 blocks"); err != nil {
		return err
	}
	if err := ld.dev.Upload(ld.blocks, 0, raw); err != nil {
		return err
	}
	return ld.dev.Launch(device.Launch{
		Kernel: "dequant_q8_0",
		Grid:   device.Dim3{X: ceilDiv(n*in, elementThreads)},
		Block:  device.Dim3{X: elementThreads},
		Args:   []device.Arg{start(ld.blocks), dst, device.Int(n * in)},
		Writes: []device.Region{{Buffer: dst.Buffer, Offset: dst.Offset, Length: n * in * device.F32.Size(), Fresh: true}},
		At:     at,
	})
}

// f32Bytes returns values in little-endian order, as the device holds them.
func f32Bytes(values []float32) []byte {
	raw := make([]byte, 0, len(values)*device.F32.Size())
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}
