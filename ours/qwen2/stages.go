package qwen2

import (
	"math"

	"attndiff/ours/device"
	"attndiff/traces/tap"
)

// plan lists the ops of one step in execution order.
func (p *pass) plan() []Op {
	ops := []Op{p.embed(p.weights.embd)}
	x := p.of(tap.InpEmbd)
	for l := range p.weights.layers {
		ops = append(ops, p.attention(l, x)...)
		ops = append(ops, p.ffn(l)...)
		x = p.of(tap.LOut)
	}
	return append(ops, p.head(x)...)
}

// attention is layer l's first half: x is the stream [T,E] that enters it,
// ffn_inp the stream that leaves. llama.cpp: src/models/qwen2.cpp, llm_build_qwen2.
func (p *pass) attention(l int, x device.Pointer) []Op {
	w := &p.weights.layers[l]
	d := p.dims
	ops := []Op{
		p.rmsNorm(l, tap.AttnNorm, x, w.attnNorm),

		p.linear(l, tap.QProj, w.q, p.of(tap.AttnNorm)),
		p.addBias(l, tap.QBias, p.of(tap.QProj), w.qBias, d.H*d.D),
		p.rope(l, tap.QRope, p.of(tap.QBias), d.H),

		p.linear(l, tap.KProj, w.k, p.of(tap.AttnNorm)),
		p.addBias(l, tap.KBias, p.of(tap.KProj), w.kBias, d.G*d.D),
		p.rope(l, tap.KRope, p.of(tap.KBias), d.G),

		p.linear(l, tap.VProj, w.v, p.of(tap.AttnNorm)),
		p.addBias(l, tap.VBias, p.of(tap.VProj), w.vBias, d.G*d.D),

		p.cacheWrite(l, tap.KCache, p.of(tap.KRope), p.cache.k),
		p.cacheWrite(l, tap.VCache, p.of(tap.VBias), p.cache.v),
	}
	if p.path == Fused {
		ops = append(ops, p.fused(l))
	} else {
		ops = append(ops, p.scores(l), p.softmax(l), p.weightedSum(l))
	}
	return append(ops,
		p.linear(l, tap.AttnOut, w.o, p.of(tap.KQV)),
		p.residual(l, tap.FFNInp, p.of(tap.AttnOut), x),
	)
}

// scoreScale is the factor on raw scores, 1/sqrt(D).
func (p *pass) scoreScale() float64 { return 1 / math.Sqrt(float64(p.dims.D)) }

// ffn is layer l's second half: ffn_inp in, l_out out.
func (p *pass) ffn(l int) []Op {
	w := &p.weights.layers[l]
	return []Op{
		p.rmsNorm(l, tap.FFNNorm, p.of(tap.FFNInp), w.ffnNorm),
		p.linear(l, tap.FFNGate, w.gate, p.of(tap.FFNNorm)),
		p.linear(l, tap.FFNUp, w.up, p.of(tap.FFNNorm)),
		p.swiglu(l),
		p.linear(l, tap.FFNOut, w.down, p.of(tap.FFNSwiglu)),
		p.residual(l, tap.LOut, p.of(tap.FFNOut), p.of(tap.FFNInp)),
	}
}

// head turns the last layer's stream x into logits of every row.
func (p *pass) head(x device.Pointer) []Op {
	return []Op{
		p.rmsNorm(tap.NoLayer, tap.ResultNorm, x, p.weights.outputNorm),
		p.linear(tap.NoLayer, tap.ResultOutput, p.weights.output, p.of(tap.ResultNorm)),
	}
}
