package tap

import (
	"fmt"
	"slices"
	"strings"
)

// Tap is one kind of intermediate tensor. The numeric order of taps is the
// execution order within a step (taps of a layer, layer after layer).
type Tap uint8

// The taps in execution order. The comment gives the shape, the meaning and
// the llama.cpp graph node (l is the layer) each is read from.
const (
	InpEmbd      Tap = iota // [T,E] embedding rows; inp_embd
	AttnNorm                // [T,E] RMSNorm(x)*w; attn_norm-l
	QProj                   // [T,H,D] Wq x; Qcur-l (MUL_MAT)
	QBias                   // [T,H,D] + bq; Qcur-l (ADD)
	QRope                   // [T,H,D] RoPE(q, pos), NEOX pairs (i, i+D/2); Qcur-l (ROPE)
	KProj                   // [T,G,D] Wk x; Kcur-l (MUL_MAT)
	KBias                   // [T,G,D] + bk; Kcur-l (ADD)
	KRope                   // [T,G,D] RoPE(k, pos); Kcur-l (ROPE)
	VProj                   // [T,G,D] Wv x; Vcur-l (MUL_MAT)
	VBias                   // [T,G,D] + bv; Vcur-l (ADD)
	KCache                  // [C,G,D] the K cache after this step's write, logical order; cache_k_l
	VCache                  // [C,G,D] the same for V; cache_v_l
	KQ                      // [H,T,C] raw q.k, no scale, no mask; kq-l
	KQSoftMax               // [H,T,C] softmax(scale*kq + causal mask); kq_soft_max-l
	KQV                     // [T,H,D] probabilities times V, heads merged back; kqv_out-l
	AttnOut                 // [T,E] Wo kqv; the MUL_MAT on attn_output.weight
	FFNInp                  // [T,E] residual; ffn_inp-l
	FFNNorm                 // [T,E] RMSNorm(ffn_inp)*w; ffn_norm-l
	FFNGate                 // [T,F] Wgate x; ffn_gate-l
	FFNUp                   // [T,F] Wup x; ffn_up-l
	FFNSwiglu               // [T,F] silu(gate)*up; ffn_swiglu-l
	FFNOut                  // [T,E] Wdown x; ffn_out-l
	LOut                    // [T,E] residual, the layer's output; l_out-l
	ResultNorm              // [T,E] RMSNorm(l_out of the last layer)*w; result_norm
	ResultOutput            // [T,V] logits of all T rows; result_output

	Count // number of taps
)

// names holds the contract's spelling, indexed by Tap.
var names = [Count]string{
	"inp_embd", "attn_norm", "q_proj", "q_bias", "q_rope", "k_proj", "k_bias", "k_rope",
	"v_proj", "v_bias", "k_cache", "v_cache", "kq", "kq_soft_max", "kqv", "attn_out",
	"ffn_inp", "ffn_norm", "ffn_gate", "ffn_up", "ffn_swiglu", "ffn_out", "l_out",
	"result_norm", "result_output",
}

// String returns the tap's name as trace files spell it.
func (t Tap) String() string {
	if t >= Count {
		return fmt.Sprintf("tap(%d)", uint8(t))
	}
	return names[t]
}

// meanings holds what each tap is, in one phrase, indexed by Tap.
var meanings = [Count]string{
	"embedding rows of the tokens", "RMSNorm before attention", "Wq x", "query plus its bias", "RoPE of the query",
	"Wk x", "key plus its bias", "RoPE of the key", "Wv x", "value plus its bias",
	"K cache after this step's write", "V cache after this step's write",
	"raw scores q.k", "softmax of the scaled and masked scores", "probabilities times V", "Wo kqv",
	"residual after attention", "RMSNorm before the feed-forward", "Wgate x", "Wup x", "silu(gate) times up", "Wdown x",
	"residual after the feed-forward", "RMSNorm of the last layer", "logits",
}

// Meaning says what the tap is, in one phrase.
func (t Tap) Meaning() string {
	if t >= Count {
		return ""
	}
	return meanings[t]
}

// PerLayer reports whether the tap exists once per layer (true for all but
// inp_embd, result_norm and result_output).
func (t Tap) PerLayer() bool { return t > InpEmbd && t < ResultNorm }

// All returns every tap in execution order.
func All() []Tap {
	all := make([]Tap, Count)
	for i := range all {
		all[i] = Tap(i)
	}
	return all
}

// Parse returns the tap of that name. The error names the taps there are.
func Parse(name string) (Tap, error) {
	if i := slices.Index(names[:], name); i >= 0 {
		return Tap(i), nil
	}
	return 0, fmt.Errorf("unknown tap %q; the taps are %s", name, strings.Join(names[:], ", "))
}

// ParseList parses a comma-separated list of tap names, as --taps takes it.
// An empty list means every tap and returns nil.
func ParseList(list string) ([]Tap, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	var taps []Tap
	for _, name := range strings.Split(list, ",") {
		t, err := Parse(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(taps, t) {
			taps = append(taps, t)
		}
	}
	slices.Sort(taps)
	return taps, nil
}
