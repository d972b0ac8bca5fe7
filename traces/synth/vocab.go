package synth

import (
	"strings"

	"attndiff/traces/gguf"
	"attndiff/traces/gguf/writer"
)

// merges are the byte pairs that the vocabulary joins, as text. Every one is
// of two tokens that come before it.
var merges = [][2]string{
	{" ", "t"}, {"h", "e"}, {" t", "he"}, {"i", "n"}, {" ", "a"}, {"e", "r"}, {"o", "n"},
	{"r", "e"}, {" ", "w"}, {"n", "d"}, {"o", "u"}, {"in", "g"}, {" a", "nd"},
}

// specials are the control tokens, at the end and in the order of Qwen2.5's.
var specials = []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}

// MinVocab is the least vocabulary: the bytes, the merges and the special
// tokens.
var MinVocab = 256 + len(merges) + len(specials)

// vocabulary makes a byte-level BPE vocabulary of n tokens: the 256 bytes,
// what the merges make, fillers that no text is ever cut into but that a
// random model may say, and the control tokens. Any text can be written in it.
func vocabulary(n int) writer.Vocab {
	v := writer.Vocab{Tokens: make([]string, 0, n), Types: make([]int32, n)}
	for b := range 256 {
		v.Tokens = append(v.Tokens, gguf.SpellBytes(string([]byte{byte(b)})))
	}
	for _, m := range merges {
		a, b := gguf.SpellBytes(m[0]), gguf.SpellBytes(m[1])
		v.Merges = append(v.Merges, a+" "+b)
		v.Tokens = append(v.Tokens, a+b)
	}
	for i := 0; len(v.Tokens) < n-len(specials); i++ {
		v.Tokens = append(v.Tokens, gguf.SpellBytes(filler(i)))
	}
	v.Tokens = append(v.Tokens, specials...)
	for i := range v.Types {
		v.Types[i] = gguf.TokenNormal
		if i >= n-len(specials) {
			v.Types[i] = gguf.TokenControl
		}
	}
	v.BOS, v.EOS, v.Pad = int32(n-3), int32(n-1), int32(n-3)
	return v
}

// filler spells a number as a word of syllables, " bafu". A syllable is one of
// 14 consonants and one of 5 vowels; two at least keep a word from being
// one of the merged tokens.
func filler(i int) string {
	const consonants, vowels = "bdfgklmnprstvz", "aeiou"
	var word strings.Builder
	word.WriteByte(' ')
	const base = len(consonants) * len(vowels)
	for n, left := i, 2; n > 0 || left > 0; n, left = n/base, left-1 {
		word.WriteByte(consonants[n%base%len(consonants)])
		word.WriteByte(vowels[n%base/len(consonants)])
	}
	return word.String()
}
