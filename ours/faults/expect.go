package faults

import (
	"slices"
	"strings"

	"attndiff/traces/tap"
)

// Causes returns the causes that describe what the fault makes of the op at a
// tap, by the ids that a diagnosis gives them; any of them is right.
func (f Fault) Causes(t tap.Tap) []string {
	for _, a := range answers {
		if a.fault == f.Name && slices.Contains(a.taps, t) {
			return strings.Fields(a.causes)
		}
	}
	return nil
}

// answer is the right name for what a fault does at some taps. Several causes
// stand where one mistake comes out in several ways, by the hardware it runs on
// or by what its buffer held; never for two mistakes that resemble each other.
type answer struct {
	fault  string
	taps   []tap.Tap
	causes string
}

// Taps that one kernel writes.
var (
	caches    = []tap.Tap{tap.KCache, tap.VCache}
	biases    = []tap.Tap{tap.QBias, tap.KBias, tap.VBias}
	ropes     = []tap.Tap{tap.QRope, tap.KRope}
	norms     = []tap.Tap{tap.AttnNorm, tap.FFNNorm, tap.ResultNorm}
	residuals = []tap.Tap{tap.FFNInp, tap.LOut}
	attention = []tap.Tap{tap.KQ, tap.KQV}
)

func only(t tap.Tap) []tap.Tap { return []tap.Tap{t} }

// answers are in the order of the catalogue's files.
var answers = []answer{
	{"cache-row-off-by-one", caches, "cache-row-one-ahead"},
	{"cache-rows-reversed", caches, "cache-rows-reversed"},
	{"cache-strides-swapped", caches, "cache-dims-before-heads"},
	{"kv-round-toward-zero", caches, "cache-rounded-toward-zero"},
	{"kv-f16-overflow", caches, "cache-overflow-of-scale-2^15"},
	{"kv-rounded-to-bf16", caches, "cache-rounded-to-bf16"},
	{"cache-read-off-by-one", only(tap.KQ), "scores-one-row-ahead"},
	{"v-read-transposed", only(tap.KQV), "values-transposed"},
	{"v-read-off-by-one", only(tap.KQV), "values-one-row-ahead"},
	{"k-read-heads-outermost", only(tap.KQ), "scores-heads-outermost"},
	{"cache-written-heads-outermost", caches, "cache-heads-outermost"},
	{"v-cache-wrong-layer", only(tap.KQV), "values-of-layer-before"},
	{"k-cache-wrong-layer", only(tap.KQ), "scores-of-layer-before"},
	{"v-cache-layer-stride-missing", only(tap.VCache), "cache-all-layers-in-layer-0"},
	{"cache-length-for-capacity", caches, "cache-layer-stride-of-length"},
	{"cache-not-written-in-decode", caches, "cache-not-written-in-decode"},
	{"v-cache-not-written-in-decode", only(tap.VCache), "cache-not-written-in-decode"},
	{"cache-stale-row", caches, "cache-overwrites-last-row"},
	{"k-cache-written-after-scores", only(tap.KQ), "scores-before-cache-write"},
	{"v-cache-written-after-sum", only(tap.KQV), "values-before-cache-write"},
	{"kv-swapped-on-write", only(tap.KCache), "cache-keeps-values"},
	{"kv-swapped-on-write", only(tap.VCache), "cache-keeps-keys"},
	{"kv-swapped-on-read", only(tap.KQ), "scores-of-values"},
	{"kv-swapped-on-read", only(tap.KQV), "values-are-keys"},

	{"no-scale", only(tap.KQSoftMax), "scale-missing"},
	{"scale-by-head-dim", only(tap.KQSoftMax), "scale-over-head-dim"},
	{"scale-by-embedding-width", only(tap.KQSoftMax), "scale-over-sqrt-width"},
	{"scale-twice", only(tap.KQ), "scores-scaled-early"},
	{"half-the-dims", only(tap.KQ), "scores-every-second-dim"},
	{"first-half-of-dims", only(tap.KQ), "scores-first-32-dims"},
	{"scores-row-stride", only(tap.KQ), "scores-row-stride-of-tokens"},
	{"scores-query-stride", only(tap.KQ), "scores-query-rows-of-kv-heads"},
	{"weighted-sum-row-stride", only(tap.KQV), "probabilities-row-stride-of-tokens"},
	{"scores-token-tile-edge", only(tap.KQ), "scores-token-tile-of-8"},
	{"scores-tile-edge", only(tap.KQ), "scores-position-tile-of-32"},
	{"softmax-without-max", only(tap.KQSoftMax), "softmax-without-max"},
	{"softmax-unscaled-max", only(tap.KQSoftMax), "softmax-unscaled-max softmax-unscaled-max-flushed"},
	{"softmax-sum-last-thread", only(tap.KQSoftMax), "softmax-sum-without-last-thread-of-32"},
	{"softmax-sum-of-masked", only(tap.KQSoftMax), "softmax-masked-afterwards"},
	{"softmax-half-warp", only(tap.KQSoftMax), "softmax-shuffle-without-16"},
	{"softmax-normaliser-f16", only(tap.KQSoftMax), "softmax-sum-in-f16"},
	{"no-mask", only(tap.KQSoftMax), "mask-missing"},
	{"mask-one-too-many", only(tap.KQSoftMax), "mask-one-too-many"},
	{"mask-one-too-few", only(tap.KQSoftMax), "mask-one-too-few"},
	{"mask-ignores-cached", only(tap.KQSoftMax), "mask-ignores-cached"},
	{"mask-rounded-to-warp", only(tap.KQSoftMax), "mask-rounded-up-to-32"},

	{"rope-interleaved", ropes, "rope-interleaved-pairs"},
	{"rope-sign", ropes, "rope-backwards"},
	{"rope-position-off-by-one", ropes, "rope-position-one-ahead"},
	{"rope-position-restarts", ropes, "rope-position-not-advanced"},
	{"rope-position-frozen", ropes, "rope-position-frozen"},
	{"rope-exponent", ropes, "rope-exponent-halved"},
	{"rope-half-the-dims", ropes, "rope-half-the-dims"},
	{"rope-frequency-runs-on", ropes, "rope-index-across-heads"},
	{"rope-position-plus-head", ropes, "rope-position-plus-head"},
	{"rope-angle-f16", ropes, "rope-angle-in-f16"},
	{"rope-wrong-base", ropes, "rope-base-10000"},
	{"rope-llama3-base", ropes, "rope-base-500000"},
	{"rope-q-only", only(tap.KRope), "rope-not-applied"},
	{"rope-after-cache-write", only(tap.KCache), "cache-keeps-unrotated-keys"},
	{"rope-k-twice", only(tap.KRope), "rope-applied-twice"},
	{"rope-q-twice", only(tap.QRope), "rope-applied-twice"},
	{"rope-on-v", only(tap.VCache), "cache-rotates-values"},

	{"q-proj-transposed", only(tap.QProj), "weight-transposed"},
	{"k-proj-transposed", only(tap.KProj), "weight-transposed"},
	{"v-proj-transposed", only(tap.VProj), "weight-transposed"},
	{"o-proj-transposed", only(tap.AttnOut), "weight-transposed"},
	{"ffn-gate-transposed", only(tap.FFNGate), "weight-transposed"},
	{"ffn-up-transposed", only(tap.FFNUp), "weight-transposed"},
	{"ffn-down-transposed", only(tap.FFNOut), "weight-transposed"},
	{"logits-transposed", only(tap.ResultOutput), "weight-transposed"},
	{"o-proj-input-transposed", only(tap.AttnOut), "input-transposed"},
	{"k-proj-inner-size", only(tap.KProj), "inner-size-128"},
	{"v-proj-leading-dimension", only(tap.VProj), "never-written"},
	{"o-proj-alpha", only(tap.AttnOut), "alpha-is-score-scale"},
	{"ffn-out-beta", only(tap.FFNOut), "beta-adds-layer-before"},
	{"q-proj-of-raw-stream", only(tap.QProj), "input-is-raw-stream"},
	{"heads-positions-swapped", only(tap.KQV), "merge-heads-outermost"},
	{"heads-interleaved", only(tap.KQV), "merge-dims-before-heads"},
	{"heads-reversed", only(tap.KQV), "merge-heads-reversed"},
	{"o-proj-in-place", only(tap.AttnOut), "output-written-over-input"},

	{"gqa-modulo", attention, "gqa-modulo"},
	{"gqa-ceil", attention, "gqa-ceil"},
	{"gqa-first-head", attention, "gqa-first-head"},
	{"gqa-reversed", attention, "gqa-reversed"},
	{"gqa-v-modulo", only(tap.KQV), "gqa-modulo"},
	{"gqa-v-first-head", only(tap.KQV), "gqa-first-head"},
	{"gqa-k-modulo", only(tap.KQ), "gqa-modulo"},
	{"gqa-group-of-g", attention, "gqa-group-of-kv-heads"},

	{"q-bias-missing", only(tap.QBias), "bias-missing"},
	{"k-bias-missing", only(tap.KBias), "bias-missing"},
	{"v-bias-missing", only(tap.VBias), "bias-missing"},
	{"q-bias-on-k", only(tap.KBias), "bias-of-q"},
	{"v-bias-wrong-layer", only(tap.VBias), "bias-of-layer-before"},
	{"bias-per-head", biases, "bias-first-head-for-all"},
	{"bias-first-token-only", biases, "bias-first-token-only"},
	{"k-bias-after-rope", only(tap.KBias), "bias-after-rope"},
	{"k-bias-after-rope", only(tap.KRope), "rope-before-bias"},
	{"k-bias-after-rope", only(tap.KCache), "cache-keeps-unrotated-keys"}, // what is cached is k_bias
	{"q-bias-after-rope", only(tap.QBias), "bias-after-rope"},
	{"q-bias-after-rope", only(tap.QRope), "rope-before-bias"},
	{"q-bias-after-rope", only(tap.KQ), "scores-of-unrotated-queries"}, // what is scored is q_bias
	{"norm-eps", norms, "norm-eps-1e-03"},
	{"norm-eps-outside-root", norms, "norm-eps-outside-root"},
	{"norm-weight-missing", norms, "norm-weight-missing"},
	{"norm-weight-plus-one", norms, "norm-weight-plus-one"},
	{"norm-layernorm", norms, "norm-layernorm"},
	{"norm-mean-over-block", norms, "norm-mean-over-256"},
	{"norm-sum-for-mean", norms, "norm-sum-for-mean"},
	{"ffn-norm-of-attention", only(tap.FFNNorm), "norm-weight-of-attn-norm"},

	{"gate-up-swapped", only(tap.FFNSwiglu), "gate-up-swapped"},
	{"gelu-for-silu", only(tap.FFNSwiglu), "gelu-tanh-for-silu"},
	{"relu-for-silu", only(tap.FFNSwiglu), "relu-for-silu"},
	{"silu-without-x", only(tap.FFNSwiglu), "sigmoid-for-silu"},
	{"down-wrong-layer", only(tap.FFNOut), "weight-of-layer-before"},
	{"down-first-layer", only(tap.FFNOut), "weight-of-layer-0"},
	{"residual-missing", residuals, "residual-missing"},
	{"residual-from-norm", only(tap.FFNInp), "residual-from-norm"},
	{"ffn-residual-before-attention", only(tap.LOut), "residual-before-attention residual-before-attention-in-place"},
	{"embedding-scaled", only(tap.InpEmbd), "embedding-times-sqrt-width"},
	{"final-norm-missing", only(tap.ResultNorm), "norm-missing"},
	{"logits-of-ffn-input", only(tap.ResultNorm), "final-norm-of-ffn-inp"},

	{"scores-f16-accumulation", only(tap.KQ), "f16-accumulation"},
	{"weighted-sum-f16-accumulation", only(tap.KQV), "f16-accumulation"},
	{"norm-last-warp-dropped", norms, "norm-sum-without-last-warp-of-256"},
	{"norm-half-warp", norms, "norm-shuffle-without-16"},
	{"norm-barrier-missing", norms, "norm-barrier-missing-of-256 norm-barrier-missing-over-zeros-of-256"},
	{"weighted-sum-barrier-missing", only(tap.KQV), "probabilities-barrier-missing probabilities-barrier-missing-between-warps"},
	{"norm-tail-dropped", norms, "norm-sum-of-first-768"},
	{"residual-tail-unwritten", residuals, "tail-of-256-unwritten"},
	{"q-bias-grid-rounded-down", only(tap.QBias), "row-tail-of-256-unwritten"},
	{"embedding-first-block-only", only(tap.InpEmbd), "channels-beyond-256-unwritten"},
	{"swiglu-bf16-output", only(tap.FFNSwiglu), "output-rounded-to-bf16"},
	{"swiglu-fast-exp", only(tap.FFNSwiglu), "silu-exp-first-order"},
	{"scores-q-bf16", only(tap.KQ), "scores-queries-in-bf16"},
}
