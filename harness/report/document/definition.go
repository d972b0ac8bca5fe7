package document

import (
	"fmt"

	"attndiff/traces/tap"
)

// definition is what an op must compute, as lines of a kernel over the
// row-major layouts that the tap stands for (package tap), with the sizes by
// the letters that kernels give them and this model's numbers in the comments.
// It is the contract of the tap, the same for every engine.
func (m *material) definition(t tap.Tap) string {
	if _, ok := weights[t]; ok || t == tap.ResultOutput {
		return m.product(t)
	}
	h := m.hp
	switch t {
	case tap.InpEmbd:
		return fmt.Sprintf("y[t * E + e] = table[tokens[t] * E + e];                 // E = %d", h.NEmbd)
	case tap.AttnNorm, tap.FFNNorm, tap.ResultNorm:
		return fmt.Sprintf(`r = 1 / sqrtf(sum / E + eps);                           // sum of x[t * E + e]^2 over all e; E = %d, eps = %.3g
y[t * E + e] = x[t * E + e] * r * w[e];`, h.NEmbd, h.RMSEps)
	case tap.QBias:
		return m.addition(h.NHead)
	case tap.KBias, tap.VBias:
		return m.addition(h.NHeadKV)
	case tap.QRope:
		return m.turning(h.NHead)
	case tap.KRope:
		return m.turning(h.NHeadKV)
	case tap.KCache, tap.VCache:
		return fmt.Sprintf(`// cache is this layer's part; every token t of the step, G = %d, D = %d
cache[((pos0 + t) * G + g) * D + d] = to_%s(x[(t * G + g) * D + d]);   // pos0 tokens are cached before this step`, h.NHeadKV, h.HeadDim, h.KVType)
	case tap.KQ:
		return fmt.Sprintf(`const int g = h / (H / G);                              // H = %d, G = %d: %d query heads per KV head
acc += q[(t * H + h) * D + d] * k[(c * G + g) * D + d];  // d = 0 .. %d, c = 0 .. pos0+T-1
kq[(h * T + t) * C + c] = acc;                          // raw: no scale, no mask`, h.NHead, h.NHeadKV, m.groups(), h.HeadDim-1)
	case tap.KQSoftMax:
		return fmt.Sprintf(`s[c] = scale * kq[(h * T + t) * C + c];                 // scale = 1/sqrt(D) = 1/%s; c = 0 .. pos0+t
m = max over c of s[c];                                 // only the columns that token t sees
p[(h * T + t) * C + c] = expf(s[c] - m) / sum;          // sum of expf(s[c'] - m) over the same columns
p[(h * T + t) * C + c] = 0;                             // for c > pos0+t`, rootOf(h.HeadDim))
	case tap.KQV:
		return fmt.Sprintf(`const int g = h / (H / G);                              // H = %d, G = %d: %d query heads per KV head
acc += p[(h * T + t) * C + c] * v[(c * G + g) * D + d];  // c = 0 .. C-1
y[(t * H + h) * D + d] = acc;                           // heads of a token side by side`, h.NHead, h.NHeadKV, m.groups())
	case tap.FFNInp:
		return "y[i] = branch[i] + skip[i];                             // attn_out plus what entered the layer, before its norm"
	case tap.FFNSwiglu:
		return "y[i] = gate[i] / (1 + expf(-gate[i])) * up[i];"
	case tap.LOut:
		return "y[i] = branch[i] + skip[i];                             // ffn_out plus ffn_inp"
	}
	return ""
}

// addition is a bias added to rows of heads.
func (m *material) addition(heads int) string {
	return fmt.Sprintf("y[t * N + j] = x[t * N + j] + b[j];                     // N = %d heads of %d = %d, every row t", heads, m.hp.HeadDim, heads*m.hp.HeadDim)
}

// turning is RoPE over rows of heads.
func (m *material) turning(heads int) string {
	half := m.hp.HeadDim / 2
	return fmt.Sprintf(`theta = (pos0 + t) * pow(base, -2.0 * i / D);           // base = %.0f, D = %d, i = 0 .. %d; pos0 tokens are cached
y[row + i]     = x[row + i] * cos(theta) - x[row + i + D/2] * sin(theta);
y[row + i + D/2] = x[row + i] * sin(theta) + x[row + i + D/2] * cos(theta);   // row = (t * N + n) * D, n = 0 .. %d`,
		m.hp.RopeFreqBase, m.hp.HeadDim, half-1, heads-1)
}

// product is a projection as a call to cuBLAS and as a sum.
func (m *material) product(t tap.Tap) string {
	out, in, ok := projection(t, m.hp.Dims())
	if !ok {
		return ""
	}
	return fmt.Sprintf(`// y[t][o] = sum over i of x[t][i] * W[o][i]; W is [%d, %d] row-major, x is %s
cublasGemmEx(handle, CUBLAS_OP_T, CUBLAS_OP_N, m = %d, n = T, k = %d, alpha = 1,
             A = W, lda = %d, B = x, ldb = %d, beta = 0, C = y, ldc = %d);`,
		out, in, operands[t][0], out, in, in, in, out)
}
