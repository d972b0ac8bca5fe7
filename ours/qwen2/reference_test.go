package qwen2_test

import (
	"math"
	"testing"

	"github.com/x448/float16"

	"attndiff/traces/gguf"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// reference is the same forward pass once more, in float64 and as plain loops
// over a whole text at once: no steps, no cache, nothing of ours/kernels. With
// an f16 cache it rounds keys and values as a cache would.
type reference struct {
	hp      trace.Hparams
	weights map[string][]float64
	output  string
	kvF16   bool
}

func newReference(t *testing.T, f *gguf.File, kv string) *reference {
	t.Helper()
	r := &reference{hp: f.Hparams, weights: map[string][]float64{}, output: f.Output(), kvF16: kv == "f16"}
	for _, p := range gguf.Parts(f.Hparams, f.Output() == gguf.TokenEmbd) {
		values, err := f.Float32(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		wide := make([]float64, len(values))
		for i, v := range values {
			wide[i] = float64(v)
		}
		r.weights[p.Name] = wide
	}
	return r
}

// text holds a text's taps, n rows each; kq and kq_soft_max are [H,n,n].
type text struct {
	n      int
	values map[tap.Key][]float64 // keys of step 0
}

// run computes every tap of a text.
func (r *reference) run(tokens []int32) *text {
	n, hp := len(tokens), r.hp
	x := &text{n: n, values: map[tap.Key][]float64{}}
	embd := make([]float64, 0, n*hp.NEmbd)
	for _, id := range tokens {
		embd = append(embd, r.weights[gguf.TokenEmbd][int(id)*hp.NEmbd:(int(id)+1)*hp.NEmbd]...)
	}
	stream := x.put(tap.NoLayer, tap.InpEmbd, embd)
	for l := range hp.NLayer {
		stream = r.layer(x, l, stream)
	}
	norm := x.put(tap.NoLayer, tap.ResultNorm, r.norm(stream, r.weights[gguf.OutputNorm]))
	x.put(tap.NoLayer, tap.ResultOutput, product(norm, r.weights[r.output], hp.NEmbd))
	return x
}

func (r *reference) layer(x *text, l int, stream []float64) []float64 {
	hp := r.hp
	w := func(name string) []float64 { return r.weights[gguf.LayerName(l, name)] }
	put := func(t tap.Tap, v []float64) []float64 { return x.put(l, t, v) }

	norm := put(tap.AttnNorm, r.norm(stream, w("attn_norm.weight")))
	q := put(tap.QProj, product(norm, w("attn_q.weight"), hp.NEmbd))
	q = put(tap.QBias, addRows(q, w("attn_q.bias")))
	q = put(tap.QRope, r.rope(q, hp.NHead))
	k := put(tap.KProj, product(norm, w("attn_k.weight"), hp.NEmbd))
	k = put(tap.KBias, addRows(k, w("attn_k.bias")))
	k = put(tap.KRope, r.rope(k, hp.NHeadKV))
	v := put(tap.VProj, product(norm, w("attn_v.weight"), hp.NEmbd))
	v = put(tap.VBias, addRows(v, w("attn_v.bias")))
	k = put(tap.KCache, r.store(k))
	v = put(tap.VCache, r.store(v))

	H, G, D, n := hp.NHead, hp.NHeadKV, hp.HeadDim, x.n
	kq := make([]float64, H*n*n)
	p := make([]float64, H*n*n)
	kqv := make([]float64, n*H*D)
	for h := range H {
		g := h / (H / G)
		for t := range n {
			row := kq[(h*n+t)*n : (h*n+t+1)*n]
			for c := range n {
				for d := range D {
					row[c] += q[(t*H+h)*D+d] * k[(c*G+g)*D+d]
				}
			}
			probs := softmax(row[:t+1], 1/math.Sqrt(float64(D)))
			copy(p[(h*n+t)*n:], probs)
			for c, prob := range probs {
				for d := range D {
					kqv[(t*H+h)*D+d] += prob * v[(c*G+g)*D+d]
				}
			}
		}
	}
	put(tap.KQ, kq)
	put(tap.KQSoftMax, p)
	put(tap.KQV, kqv)
	out := put(tap.AttnOut, product(kqv, w("attn_output.weight"), H*D))
	stream = put(tap.FFNInp, add(out, stream))

	norm = put(tap.FFNNorm, r.norm(stream, w("ffn_norm.weight")))
	gate := put(tap.FFNGate, product(norm, w("ffn_gate.weight"), hp.NEmbd))
	up := put(tap.FFNUp, product(norm, w("ffn_up.weight"), hp.NEmbd))
	act := make([]float64, len(gate))
	for i := range act {
		act[i] = gate[i] / (1 + math.Exp(-gate[i])) * up[i]
	}
	put(tap.FFNSwiglu, act)
	down := put(tap.FFNOut, product(act, w("ffn_down.weight"), hp.NFF))
	return put(tap.LOut, add(down, stream))
}

func (x *text) put(layer int, t tap.Tap, v []float64) []float64 {
	x.values[tap.At(0, layer, t)] = v
	return v
}

// step returns what a step that feeds rows P to P+T-1 must record at k.
func (x *text) step(k tap.Key, d tap.Dims) []float64 {
	all := x.values[tap.At(0, k.Layer, k.Tap)]
	switch k.Tap {
	case tap.KQ, tap.KQSoftMax:
		var rows []float64
		for h := range d.H {
			for t := d.P; t < d.C(); t++ {
				rows = append(rows, all[(h*x.n+t)*x.n:(h*x.n+t)*x.n+d.C()]...)
			}
		}
		return rows
	case tap.KCache, tap.VCache:
		return all[:d.C()*len(all)/x.n]
	}
	return all[d.P*len(all)/x.n : d.C()*len(all)/x.n]
}

// product returns the rows of x, each times every row of w.
func product(x, w []float64, in int) []float64 {
	y := make([]float64, 0, len(x)/in*len(w)/in)
	for i := 0; i < len(x); i += in {
		for j := 0; j < len(w); j += in {
			sum := 0.0
			for k := range in {
				sum += x[i+k] * w[j+k]
			}
			y = append(y, sum)
		}
	}
	return y
}

func (r *reference) norm(x, w []float64) []float64 {
	y := make([]float64, len(x))
	for i := 0; i < len(x); i += len(w) {
		sum := 0.0
		for e := range w {
			sum += x[i+e] * x[i+e]
		}
		scale := 1 / math.Sqrt(sum/float64(len(w))+r.hp.RMSEps)
		for e := range w {
			y[i+e] = x[i+e] * scale * w[e]
		}
	}
	return y
}

func (r *reference) rope(x []float64, heads int) []float64 {
	y, D := make([]float64, len(x)), r.hp.HeadDim
	for row := 0; row < len(x)/D; row++ {
		pos := float64(row / heads)
		for i := range D / 2 {
			sin, cos := math.Sincos(pos * math.Pow(r.hp.RopeFreqBase, -2*float64(i)/float64(D)))
			a, b := x[row*D+i], x[row*D+i+D/2]
			y[row*D+i], y[row*D+i+D/2] = a*cos-b*sin, a*sin+b*cos
		}
	}
	return y
}

// store rounds as the cache does.
func (r *reference) store(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v
		if r.kvF16 {
			y[i] = float64(float16.Fromfloat32(float32(v)).Float32())
		}
	}
	return y
}

func softmax(scores []float64, scale float64) []float64 {
	p, top, sum := make([]float64, len(scores)), math.Inf(-1), 0.0
	for _, s := range scores {
		top = max(top, scale*s)
	}
	for c, s := range scores {
		p[c] = math.Exp(scale*s - top)
		sum += p[c]
	}
	for c := range p {
		p[c] /= sum
	}
	return p
}

func addRows(x, b []float64) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = x[i] + b[i%len(b)]
	}
	return y
}

func add(a, b []float64) []float64 {
	y := make([]float64, len(a))
	for i := range a {
		y[i] = a[i] + b[i]
	}
	return y
}
