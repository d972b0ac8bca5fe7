package gguf

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"attndiff/traces/trace"
)

const (
	arch       = "qwen2"
	keyArch    = "general.architecture"
	keyName    = "general.name"
	keySplit   = "split.count"
	keyContext = arch + ".context_length"
	keyLayers  = arch + ".block_count"
	keyEmbd    = arch + ".embedding_length"
	keyFF      = arch + ".feed_forward_length"
	keyHeads   = arch + ".attention.head_count"
	keyHeadsKV = arch + ".attention.head_count_kv"
	keyKeyLen  = arch + ".attention.key_length"
	keyValLen  = arch + ".attention.value_length"
	keyEps     = arch + ".attention.layer_norm_rms_epsilon"
	keyWindow  = arch + ".attention.sliding_window"
	keyRopeDim = arch + ".rope.dimension_count"
	keyBase    = arch + ".rope.freq_base"
	keyVocab   = arch + ".vocab_size"
	keyScaling = arch + ".rope.scaling.type"
)

// defaultRopeBase is llama.cpp's where the key is missing
// (llama-model.cpp, load_hparams).
const defaultRopeBase = 10000

// maxLayers is llama.cpp's LLAMA_MAX_LAYERS; it aborts beyond.
const maxLayers = 512

// checkArch refuses what is not qwen2, or only a piece of it.
func (k *keys) checkArch() *Error {
	if e := k.scalar(keyArch, valString); e != nil {
		return e
	}
	if a := k.values[keyArch].String(); a != arch {
		return &Error{Where: atKey(keyArch), What: fmt.Sprintf("is %q, only %q is supported", a, arch),
			Fix: "use a Qwen2 or Qwen2.5 model"}
	}
	if parts := k.values[keySplit].Uint(); parts > 1 {
		return &Error{Where: atKey(keySplit), What: fmt.Sprintf("one of %d files of a split model", parts),
			Fix: "join them with llama-gguf-split --merge"}
	}
	return nil
}

// hparams reads the hyperparameters; n_vocab is the number of tokens.
func (k *keys) hparams() (h trace.Hparams, context int, e *Error) {
	h.RopeType = "neox"
	for _, c := range []struct {
		dst *int
		key string
	}{
		{&context, keyContext}, {&h.NLayer, keyLayers}, {&h.NEmbd, keyEmbd}, {&h.NFF, keyFF}, {&h.NHead, keyHeads},
	} {
		if *c.dst, e = k.count(c.key); e != nil {
			return h, 0, e
		}
	}
	if h.NLayer > maxLayers {
		return h, 0, &Error{Where: atKey(keyLayers), What: fmt.Sprintf("is %d, llama.cpp takes at most %d", h.NLayer, maxLayers), Fix: fixConvert}
	}
	if h.NHeadKV, e = k.count(keyHeadsKV, h.NHead); e != nil {
		return h, 0, e
	}
	if h.RMSEps, e = k.positive(keyEps); e != nil {
		return h, 0, e
	}
	if h.RopeFreqBase, e = k.positive(keyBase, defaultRopeBase); e != nil {
		return h, 0, e
	}
	if e = k.heads(&h); e != nil {
		return h, 0, e
	}
	tokens, ok := k.arrays[keyTokens]
	if !ok {
		return h, 0, &Error{Where: atKey(keyTokens), What: "is missing", Fix: fixTokenizer}
	}
	h.NVocab = int(tokens)
	if v, e := k.count(keyVocab, h.NVocab); e != nil {
		return h, 0, e
	} else if v != h.NVocab {
		return h, 0, &Error{Where: atKey(keyVocab), What: fmt.Sprintf("is %d, but %s has %d entries", v, keyTokens, h.NVocab), Fix: fixConvert}
	}
	return h, context, nil
}

// heads works out head_dim and checks that heads divide as attention needs.
func (k *keys) heads(h *trace.Hparams) *Error {
	if h.NHead%h.NHeadKV != 0 {
		return &Error{Where: atKey(keyHeadsKV), Fix: fixConvert,
			What: fmt.Sprintf("%d query heads are not a multiple of %d KV heads", h.NHead, h.NHeadKV)}
	}
	if h.NEmbd%h.NHead != 0 {
		return &Error{Where: atKey(keyHeads), Fix: fixConvert,
			What: fmt.Sprintf("embedding_length %d is not a multiple of %d heads", h.NEmbd, h.NHead)}
	}
	h.HeadDim = h.NEmbd / h.NHead
	for _, key := range []string{keyKeyLen, keyValLen, keyRopeDim} {
		n, e := k.count(key, h.HeadDim)
		if e != nil {
			return e
		}
		if n != h.HeadDim {
			return &Error{Where: atKey(key), Fix: fixOther,
				What: fmt.Sprintf("is %d, but embedding_length / head_count is %d; only models where they are equal are supported", n, h.HeadDim)}
		}
	}
	if h.HeadDim%2 != 0 {
		return &Error{Where: atKey(keyHeads), What: fmt.Sprintf("head_dim %d is odd, RoPE turns pairs", h.HeadDim), Fix: fixConvert}
	}
	return nil
}

// checkVariants refuses what neither our forward pass nor the oracle speaks.
// Settings that change nothing pass: a window as long as the context, a
// scaling by 1.
func (k *keys) checkVariants(context int) *Error {
	for _, key := range slices.Sorted(maps.Keys(k.keyTypes)) {
		if strings.HasPrefix(key, arch+".expert_") {
			return &Error{Where: atKey(key), What: "mixtures of experts are not supported", Fix: fixOther}
		}
	}
	window, e := k.optional(keyWindow, valUint32)
	if e != nil {
		return e
	}
	if window != 0 && window < float64(context) {
		return &Error{Where: atKey(keyWindow), What: fmt.Sprintf("a sliding window of %.0f is not supported", window), Fix: fixOther}
	}
	scaling, e := k.text(keyScaling)
	if e != nil {
		return e
	}
	// linear is what llama.cpp assumes where the key is missing; it scales by
	// the factor, which is checked below.
	if scaling != "" && scaling != "none" && scaling != "linear" {
		return &Error{Where: atKey(keyScaling), What: fmt.Sprintf("rope scaling %q is not supported", scaling), Fix: fixOther}
	}
	for _, name := range []string{"rope.scaling.factor", "rope.scale_linear", "rope.scaling.attn_factor"} {
		v, e := k.optional(arch+"."+name, valFloat32)
		if e != nil {
			return e
		}
		if v != 0 && v != 1 {
			return &Error{Where: atKey(arch + "." + name), What: fmt.Sprintf("rope scaling by %v is not supported", v), Fix: fixOther}
		}
	}
	return nil
}

// optional returns a number, 0 when the key is missing.
func (k *keys) optional(key string, typ uint32) (float64, *Error) {
	if !k.has(key) {
		return 0, nil
	}
	e := k.scalar(key, typ)
	if e != nil {
		return 0, e
	}
	if typ == valFloat32 {
		return k.values[key].Float(), nil
	}
	return float64(k.values[key].Uint()), nil
}
