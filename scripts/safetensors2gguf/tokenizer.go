package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"attndiff/traces/gguf"
	"attndiff/traces/gguf/writer"
)

// tokenizer is the part of tokenizer.json that a GGUF file repeats. How text
// is cut before merging goes by the name "qwen2" there.
type tokenizer struct {
	Model struct {
		Type   string           `json:"type"`
		Vocab  map[string]int32 `json:"vocab"`
		Merges []merge          `json:"merges"`
	} `json:"model"`
	Added []struct {
		ID      int32  `json:"id"`
		Content string `json:"content"`
		Special bool   `json:"special"`
	} `json:"added_tokens"`
}

// merge is a pair of tokens, spelled "a b": older files hold that text, newer
// ones ["a","b"].
type merge string

// UnmarshalJSON takes both spellings.
func (m *merge) UnmarshalJSON(text []byte) error {
	var pair []string
	if json.Unmarshal(text, &pair) == nil {
		if len(pair) != 2 {
			return fmt.Errorf("a merge of %d tokens", len(pair))
		}
		*m = merge(pair[0] + " " + pair[1])
		return nil
	}
	return json.Unmarshal(text, (*string)(m))
}

// readVocab reads the vocabulary. Rows of the embedding that no token names
// become unused tokens, as llama.cpp's converter has them: it wants one token
// per row.
func readVocab(folder string, c config) (writer.Vocab, error) {
	path := filepath.Join(folder, "tokenizer.json")
	var t tokenizer
	if err := readJSON(path, &t); err != nil {
		return writer.Vocab{}, err
	}
	if t.Model.Type != "BPE" || len(t.Model.Merges) == 0 {
		return writer.Vocab{}, fmt.Errorf("%s: model type %q with %d merges; a Qwen2 tokenizer is BPE", path, t.Model.Type, len(t.Model.Merges))
	}
	v := writer.Vocab{Tokens: make([]string, c.Vocab), Types: make([]int32, c.Vocab),
		BOS: token(c.BOS), EOS: gguf.NoToken, Pad: token(c.Pad)}
	if len(c.EOS) > 0 {
		v.EOS = c.EOS[0]
	}
	set := func(id int32, spelling string, typ int32) error {
		switch {
		case id < 0 || int(id) >= c.Vocab:
			return fmt.Errorf("%s: token %q has id %d, but vocab_size is %d", path, spelling, id, c.Vocab)
		case v.Types[id] != 0 && v.Tokens[id] != spelling:
			return fmt.Errorf("%s: tokens %q and %q both have id %d", path, v.Tokens[id], spelling, id)
		}
		v.Tokens[id], v.Types[id] = spelling, typ
		return nil
	}
	for spelling, id := range t.Model.Vocab {
		if err := set(id, spelling, gguf.TokenNormal); err != nil {
			return v, err
		}
	}
	for _, a := range t.Added {
		typ := gguf.TokenUserDefined
		if a.Special {
			typ = gguf.TokenControl
		}
		if err := set(a.ID, a.Content, typ); err != nil {
			return v, err
		}
	}
	for id, typ := range v.Types {
		if typ == 0 {
			v.Tokens[id], v.Types[id] = fmt.Sprintf("[PAD%d]", id), gguf.TokenUnused
		}
	}
	for _, m := range t.Model.Merges {
		if strings.Count(string(m), " ") != 1 {
			return v, fmt.Errorf("%s: merge %q is not of two tokens", path, m)
		}
		v.Merges = append(v.Merges, string(m))
	}
	var err error
	v.ChatTemplate, err = chatTemplate(filepath.Join(folder, "tokenizer_config.json"))
	return v, err
}

// chatTemplate returns the checkpoint's chat template, "" where it has none.
func chatTemplate(path string) (string, error) {
	var t struct {
		Template string `json:"chat_template"`
	}
	err := readJSON(path, &t)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return t.Template, err
}
