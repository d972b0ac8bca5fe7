package llamacpp_test

import (
	"slices"
	"testing"

	"attndiff/reference/llamacpp"
)

func TestText(t *testing.T) {
	e := open(t, "F16", llamacpp.Config{})
	for _, text := range []string{
		"", "a", "hello world", "line\nbreak\t tab", "<|im_start|>user\nhi<|im_end|>\n", "日本語 🙂 naïve", "\x00\x01 bytes",
	} {
		ids, err := e.Tokenize(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got := e.Detokenize(ids); got != text {
			t.Errorf("%q came back as %q by way of %v", text, got, ids)
		}
		if len(text) == 0 && len(ids) != 0 {
			t.Errorf("no text became %v: a token was added", ids)
		}
	}
}

func TestSpecialTokens(t *testing.T) {
	e := open(t, "F16", llamacpp.Config{})
	for text, ends := range map[string]bool{"<|im_end|>": true, "<|endoftext|>": true, "<|im_start|>": false, "a": false} {
		ids, err := e.Tokenize(text)
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) != 1 {
			t.Fatalf("%q is %v, want one token", text, ids)
		}
		if e.IsEOG(ids[0]) != ends {
			t.Errorf("IsEOG(%q) is %v", text, !ends)
		}
	}
	if e.IsEOG(-1) || e.IsEOG(1<<30) {
		t.Error("ids outside the vocabulary end a text")
	}
	if got := e.Detokenize([]int32{-1, 1 << 30}); got != "" {
		t.Errorf("ids outside the vocabulary are %q", got)
	}
	long := slices.Repeat([]rune("word "), 5000)
	ids, err := e.Tokenize(string(long))
	if err != nil {
		t.Fatal(err)
	}
	if e.Detokenize(ids) != string(long) {
		t.Error("a long text does not come back")
	}
}
