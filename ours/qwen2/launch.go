package qwen2

import (
	"attndiff/ours/device"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// The constructors below turn one op of the model into one launch or product.
// Each launch shape is the one its .cu file documents; changing either means
// changing both.

// Threads per block.
const (
	rowThreads     = 256 // kernels that give a block to a row
	elementThreads = 256 // kernels that give a thread to an element
	warp           = 32
)

// Tile of scores.cu: SCORES_POSITIONS and SCORES_TOKENS.
const (
	scorePositions = 32
	scoreTokens    = 8
)

// ceilDiv returns n/d rounded up.
func ceilDiv(n, d int) int { return (n + d - 1) / d }

// pass is one step being planned: the model, the step's number and its dims.
type pass struct {
	*Model
	step int
	dims tap.Dims
}

// of is the address of a tap's activations.
func (p *pass) of(t tap.Tap) device.Pointer { return start(p.buffers.tap[t]) }

// out is the tensor that tap t records: all of its activations of this step.
func (p *pass) out(t tap.Tap) Tensor {
	return Tensor{Buffer: p.buffers.tap[t], Type: trace.F32, Shape: t.Shape(p.dims)}
}

// launch is an op whose kernel writes all of the tap's activations.
func (p *pass) launch(l int, t tap.Tap, kernel string, grid, block device.Dim3, args ...device.Arg) Op {
	out := p.out(t)
	return Op{At: tap.At(p.step, l, t), Out: out, Launch: &device.Launch{
		Kernel: kernel, Grid: grid, Block: block, Args: args,
		Writes: []device.Region{{Buffer: out.Buffer, Length: out.Bytes(), Fresh: true}},
		At:     tap.At(p.step, l, t),
	}}
}

// embed looks up the rows of the step's tokens (embed.cu).
func (p *pass) embed(table matrix) Op {
	kernel := map[device.DType]string{
		device.F32: "embed_rows_f32", device.F16: "embed_rows_f16", device.BF16: "embed_rows_bf16",
	}[table.Type]
	return p.launch(tap.NoLayer, tap.InpEmbd, kernel,
		device.Dim3{X: p.dims.T}, device.Dim3{X: rowThreads},
		start(p.buffers.tokens), table.Pointer, p.of(tap.InpEmbd), device.Int(p.dims.E))
}

// rmsNorm normalises the rows of x (rms_norm.cu).
func (p *pass) rmsNorm(l int, t tap.Tap, x, weight device.Pointer) Op {
	return p.launch(l, t, "rms_norm",
		device.Dim3{X: p.dims.T}, device.Dim3{X: rowThreads},
		x, weight, p.of(t), device.Int(p.dims.E), device.Float(p.hparams.RMSEps))
}

// linear is a projection of all rows, Y[T,out] = X[T,in] W[out,in]^T. cuBLAS
// reads row-major W and X as column-major [in,out] and [in,T], so W is the
// transposed operand and Y comes out as column-major [out,T].
func (p *pass) linear(l int, t tap.Tap, w matrix, x device.Pointer) Op {
	at := tap.At(p.step, l, t)
	return Op{At: at, Out: p.out(t), Gemm: &device.Gemm{
		TransA: true, M: w.out, N: p.dims.T, K: w.in, Alpha: 1, Beta: 0,
		A:  w.Matrix,
		B:  device.Matrix{Pointer: x, Type: device.F32, Ld: w.in},
		C:  device.Matrix{Pointer: p.of(t), Type: device.F32, Ld: w.out},
		At: at,
	}}
}

// addBias adds a bias to rows of n elements (bias.cu).
func (p *pass) addBias(l int, t tap.Tap, x, bias device.Pointer, n int) Op {
	return p.launch(l, t, "add_bias",
		device.Dim3{X: ceilDiv(n, elementThreads), Y: p.dims.T}, device.Dim3{X: elementThreads},
		x, bias, p.of(t), device.Int(n))
}

// rope turns the heads of each row by its position (rope.cu).
func (p *pass) rope(l int, t tap.Tap, x device.Pointer, heads int) Op {
	pairs := heads * p.dims.D / 2
	return p.launch(l, t, "rope_neox",
		device.Dim3{X: p.dims.T}, device.Dim3{X: min(rowThreads, ceilDiv(pairs, warp)*warp)},
		x, p.of(t), device.Int(heads), device.Int(p.dims.D), device.Int(p.dims.P), device.Float(p.hparams.RopeFreqBase))
}

// cacheWrite appends the step's rows to layer l of a cache buffer (kv_cache.cu).
// Its tap records the whole layer up to C. The region is not declared fresh:
// a cache lives from step to step, and a write that goes astray is to leave in
// it what it would leave on a GPU.
func (p *pass) cacheWrite(l int, t tap.Tap, x device.Pointer, cache device.Buffer) Op {
	layer := p.cache.layer(cache, l)
	at := tap.At(p.step, l, t)
	return Op{
		At:  at,
		Out: Tensor{Buffer: cache, Offset: layer.Offset, Type: p.cache.dtype, Shape: t.Shape(p.dims)},
		Launch: &device.Launch{
			Kernel: p.cache.kernel("kv_write"),
			Grid:   device.Dim3{X: ceilDiv(p.dims.G*p.dims.D, elementThreads), Y: p.dims.T},
			Block:  device.Dim3{X: elementThreads},
			Args:   []device.Arg{x, layer, device.Int(p.dims.G), device.Int(p.dims.D), device.Int(p.dims.P)},
			Writes: []device.Region{{
				Buffer: cache, Offset: layer.Offset + p.dims.P*p.cache.rowBytes, Length: p.dims.T * p.cache.rowBytes,
			}},
			At: at,
		},
	}
}

// scores multiplies rotated queries with layer l's cached keys (scores.cu).
func (p *pass) scores(l int) Op {
	d := p.dims
	return p.launch(l, tap.KQ, p.cache.kernel("gqa_scores"),
		device.Dim3{X: ceilDiv(d.C(), scorePositions), Y: ceilDiv(d.T, scoreTokens), Z: d.H},
		device.Dim3{X: scorePositions, Y: scoreTokens},
		p.of(tap.QRope), p.cache.layer(p.cache.k, l), p.of(tap.KQ),
		device.Int(d.T), device.Int(d.C()), device.Int(d.H), device.Int(d.G), device.Int(d.D))
}

// softmax scales, masks and normalises the scores (softmax.cu).
func (p *pass) softmax(l int) Op {
	d := p.dims
	return p.launch(l, tap.KQSoftMax, "causal_softmax",
		device.Dim3{X: d.T, Y: d.H}, device.Dim3{X: softmaxThreads(d.C())},
		p.of(tap.KQ), p.of(tap.KQSoftMax),
		device.Int(d.T), device.Int(d.C()), device.Int(d.P), device.Float(p.scoreScale()))
}

// softmaxThreads gives a row of n scores a warp per 256, at most 8 warps.
func softmaxThreads(n int) int { return min(ceilDiv(n, 256), 8) * warp }

// weightedSum weighs layer l's cached values (weighted_sum.cu).
func (p *pass) weightedSum(l int) Op {
	d := p.dims
	return p.launch(l, tap.KQV, p.cache.kernel("weighted_sum"),
		device.Dim3{X: d.T, Y: d.H}, device.Dim3{X: ceilDiv(d.D, warp) * warp},
		p.of(tap.KQSoftMax), p.cache.layer(p.cache.v, l), p.of(tap.KQV),
		device.Int(d.T), device.Int(d.C()), device.Int(d.H), device.Int(d.G), device.Int(d.D))
}

// residual adds a branch to the stream it left (residual.cu).
func (p *pass) residual(l int, t tap.Tap, branch, skip device.Pointer) Op {
	n := p.dims.T * p.dims.E
	return p.launch(l, t, "add_residual",
		device.Dim3{X: ceilDiv(n, elementThreads)}, device.Dim3{X: elementThreads},
		branch, skip, p.of(t), device.Int(n))
}

// swiglu gates the up projection (swiglu.cu).
func (p *pass) swiglu(l int) Op {
	n := p.dims.T * p.dims.F
	return p.launch(l, tap.FFNSwiglu, "swiglu",
		device.Dim3{X: ceilDiv(n, elementThreads)}, device.Dim3{X: elementThreads},
		p.of(tap.FFNGate), p.of(tap.FFNUp), p.of(tap.FFNSwiglu), device.Int(n))
}
