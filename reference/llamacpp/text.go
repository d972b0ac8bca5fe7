package llamacpp

// #include "bridge.h"
import "C"

import (
	"fmt"
	"math"
	"unsafe"
)

// Tokenize returns the model's token ids of a text. Special tokens such as
// <|im_start|> are recognised in the text; a first or last token is added only
// where the model says so (qwen2 models do not).
func (e *Engine) Tokenize(text string) ([]int32, error) {
	if len(text) > math.MaxInt32/2 {
		return nil, fmt.Errorf("text of %d bytes is too long to tokenize", len(text))
	}
	ids := make([]int32, len(text)+2) // a token is a byte or more; two for the model's own
	n := C.ref_tokenize(e.c, (*C.char)(unsafe.Pointer(unsafe.StringData(text))), C.int32_t(len(text)),
		(*C.int32_t)(unsafe.SliceData(ids)), C.int32_t(len(ids)))
	if n < 0 {
		return nil, fmt.Errorf("llama.cpp needs %d tokens for %d bytes of text", -n, len(text))
	}
	return ids[:n], nil
}

// Detokenize returns the text of token ids, special tokens spelled out. Ids
// outside the vocabulary are left out. The text need not be valid UTF-8: a
// character may be spread over tokens.
func (e *Engine) Detokenize(ids []int32) string {
	known := make([]int32, 0, len(ids))
	for _, id := range ids {
		if id >= 0 && int(id) < e.h.NVocab {
			known = append(known, id)
		}
	}
	if len(known) == 0 {
		return ""
	}
	text := make([]byte, 16*len(known))
	for {
		n := C.ref_detokenize(e.c, (*C.int32_t)(unsafe.SliceData(known)), C.int32_t(len(known)),
			(*C.char)(unsafe.Pointer(unsafe.SliceData(text))), C.int32_t(len(text)))
		if n >= 0 {
			return string(text[:n])
		}
		text = make([]byte, -n)
	}
}

// IsEOG reports whether a token ends the generation (<|im_end|>,
// <|endoftext|>).
func (e *Engine) IsEOG(id int32) bool {
	return id >= 0 && int(id) < e.h.NVocab && C.ref_is_eog(e.c, C.int32_t(id)) != 0
}
