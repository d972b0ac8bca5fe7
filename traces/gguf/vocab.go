package gguf

import (
	"fmt"
	"slices"
)

const (
	keyTokenizer = "tokenizer.ggml.model"
	keyTokens    = "tokenizer.ggml.tokens"
	keyTypes     = "tokenizer.ggml.token_type"
	keyMerges    = "tokenizer.ggml.merges"
	keyBOS       = "tokenizer.ggml.bos_token_id"
	keyEOS       = "tokenizer.ggml.eos_token_id"
	keyEOT       = "tokenizer.ggml.eot_token_id"
)

// Token types, llama.h's enum llama_token_type.
const (
	TokenNormal      int32 = 1
	TokenUnknown     int32 = 2
	TokenControl     int32 = 3
	TokenUserDefined int32 = 4
	TokenUnused      int32 = 5
	TokenByte        int32 = 6
)

// NoToken is a special token that the vocabulary does not name.
const NoToken int32 = -1

// Vocab is the vocabulary as far as turning ids into text needs it. Turning
// text into ids is left to llama.cpp: ours gets ids.
type Vocab struct {
	Tokens []string // spelled as the file has them, see [SpellBytes]
	Types  []int32  // TokenNormal, TokenControl, ...; one per token
	BOS    int32    // NoToken where the file names none
	EOS    int32
	EOT    int32
	eog    []int32 // sorted
}

// Vocab returns the vocabulary. The error is nil for a file that opened.
func (f *File) Vocab() (*Vocab, error) { return f.vocab, nil }

// vocab reads the vocabulary and checks what llama.cpp takes for granted: it
// reads one type per token without looking, and aborts on a token spelled
// twice (llama-vocab.cpp, llama_vocab::impl::load).
func (k *keys) vocab() (*Vocab, *Error) {
	model, e := k.text(keyTokenizer)
	if e != nil {
		return nil, e
	}
	if model != "gpt2" {
		return nil, &Error{Where: atKey(keyTokenizer), What: fmt.Sprintf("is %q, a qwen2 model has byte-level BPE, \"gpt2\"", model), Fix: fixConvert}
	}
	for _, want := range []struct {
		key string
		typ uint32
	}{{keyTokens, valString}, {keyTypes, valInt32}, {keyMerges, valString}} {
		if _, array := k.arrays[want.key]; !array || k.keyTypes[want.key] != want.typ {
			return nil, &Error{Where: atKey(want.key), What: "an array of " + valueTypes[want.typ].Name + " is called for", Fix: fixTokenizer}
		}
	}
	v := &Vocab{Tokens: k.values[keyTokens].Strings()}
	types := k.values[keyTypes].Ints()
	if len(types) != len(v.Tokens) {
		return nil, &Error{Where: atKey(keyTypes), What: fmt.Sprintf("has %d entries for %d tokens", len(types), len(v.Tokens)), Fix: fixConvert}
	}
	ids := make(map[string]int32, len(v.Tokens))
	v.Types = make([]int32, len(types))
	for i, t := range v.Tokens {
		if first, twice := ids[t]; twice && t != "" {
			return nil, &Error{Where: atKey(keyTokens), What: fmt.Sprintf("tokens %d and %d are both %q", first, i, t), Fix: fixConvert}
		}
		ids[t] = int32(i)
		v.Types[i] = int32(types[i])
	}
	for _, special := range []struct {
		dst *int32
		key string
	}{{&v.BOS, keyBOS}, {&v.EOS, keyEOS}, {&v.EOT, keyEOT}} {
		if *special.dst, e = k.token(special.key, len(v.Tokens)); e != nil {
			return nil, e
		}
	}
	v.eog = endTokens(v, ids)
	return v, nil
}

// token returns a special token's id, NoToken where the key is missing.
func (k *keys) token(key string, n int) (int32, *Error) {
	if !k.has(key) {
		return NoToken, nil
	}
	if e := k.scalar(key, valUint32); e != nil {
		return NoToken, e
	}
	id := k.values[key].Uint()
	if id >= uint64(n) {
		return NoToken, &Error{Where: atKey(key), What: fmt.Sprintf("token %d is not among the %d tokens", id, n), Fix: fixConvert}
	}
	return int32(id), nil
}

// endTexts are spellings that end a generation wherever a vocabulary has
// them: the ones of llama-vocab.cpp's list that Qwen2's vocabularies know,
// its fill-in-the-middle ends among them.
var endTexts = []string{"<|im_end|>", "<|endoftext|>", "<|fim_pad|>", "<|fim_repo|>", "<|repo_name|>", "<|file_sep|>"}

func endTokens(v *Vocab, ids map[string]int32) []int32 {
	var end []int32
	for _, id := range []int32{v.EOS, v.EOT} {
		if id != NoToken {
			end = append(end, id)
		}
	}
	for _, text := range endTexts {
		if id, ok := ids[text]; ok {
			end = append(end, id)
		}
	}
	slices.Sort(end)
	return slices.Compact(end)
}

// IsEOG reports whether a token ends a generation.
func (v *Vocab) IsEOG(id int32) bool { return slices.Contains(v.eog, id) }

// Decode returns the text of token ids: bytes of ordinary tokens, special
// tokens as they are spelled. A token may end within a character, so the text
// of part of a sequence need not be valid UTF-8. An id that the vocabulary
// does not have becomes "[token 12]".
func (v *Vocab) Decode(ids []int32) string {
	var text []byte
	for _, id := range ids {
		switch {
		case id < 0 || int(id) >= len(v.Tokens):
			text = fmt.Appendf(text, "[token %d]", id)
		case v.Types[id] == TokenNormal || v.Types[id] == TokenByte:
			text = appendBytes(text, v.Tokens[id])
		default:
			text = append(text, v.Tokens[id]...)
		}
	}
	return string(text)
}
