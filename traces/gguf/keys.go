package gguf

import (
	"fmt"
	"math"

	ollama "github.com/ollama/ollama/fs/gguf"
)

// keys are a file's metadata, values by ollama's reader and types by our walk.
type keys struct {
	values map[string]ollama.Value
	*structure
}

// readKeys reads the metadata of a file that passed the walk. Merges are left
// out: only a tokenizer needs them, and they are half of the metadata's size.
func readKeys(path string, s *structure) (*keys, error) {
	r, err := ollama.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	k := &keys{values: map[string]ollama.Value{}, structure: s}
	n := 0
	for _, kv := range r.KeyValues() {
		n++
		if kv.Key != keyMerges {
			k.values[kv.Key] = kv.Value
		}
	}
	if n != len(s.keyTypes) {
		return nil, fmt.Errorf("only %d of %d keys could be read", n, len(s.keyTypes))
	}
	return k, nil
}

func (k *keys) has(key string) bool {
	_, ok := k.keyTypes[key]
	return ok
}

// scalar checks that a key is there, is no array and has the type that
// llama.cpp insists on (llama-model-loader.cpp, GGUFMeta::GKV::get_kv).
func (k *keys) scalar(key string, typ uint32) *Error {
	want := valueTypes[typ].Name
	got, ok := k.keyTypes[key]
	switch _, array := k.arrays[key]; {
	case !ok:
		return &Error{Where: atKey(key), What: "is missing", Fix: fixConvert}
	case array:
		return &Error{Where: atKey(key), What: "is an array; one " + want + " for all layers is read", Fix: fixOther}
	case got != typ:
		return &Error{Where: atKey(key), What: "has type " + valueTypes[got].Name + " where " + want + " is called for", Fix: fixConvert}
	}
	return nil
}

// count returns a uint32 key that must be at least 1. With a fallback a
// missing key has that value.
func (k *keys) count(key string, fallback ...int) (int, *Error) {
	if !k.has(key) && len(fallback) == 1 {
		return fallback[0], nil
	}
	if e := k.scalar(key, valUint32); e != nil {
		return 0, e
	}
	n := k.values[key].Uint()
	if n == 0 || n > math.MaxInt32 {
		return 0, &Error{Where: atKey(key), What: fmt.Sprintf("is %d", n), Fix: fixConvert}
	}
	return int(n), nil
}

// positive returns a float32 key that must be finite and above 0.
func (k *keys) positive(key string, fallback ...float64) (float64, *Error) {
	if !k.has(key) && len(fallback) == 1 {
		return fallback[0], nil
	}
	if e := k.scalar(key, valFloat32); e != nil {
		return 0, e
	}
	v := k.values[key].Float()
	if !(v > 0 && v <= math.MaxFloat32) {
		return 0, &Error{Where: atKey(key), What: fmt.Sprintf("is %v", v), Fix: fixConvert}
	}
	return v, nil
}

// text returns a string key, "" when it is missing.
func (k *keys) text(key string) (string, *Error) {
	if !k.has(key) {
		return "", nil
	}
	if e := k.scalar(key, valString); e != nil {
		return "", e
	}
	return k.values[key].String(), nil
}
