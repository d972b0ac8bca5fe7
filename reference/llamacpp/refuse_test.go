package llamacpp_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attndiff/reference/llamacpp"
	"attndiff/traces/synth/synthtest"
)

// TestRefuse expects one line that says what is wrong for everything that
// cannot be opened.
func TestRefuse(t *testing.T) {
	good := synthtest.Tiny(t, "F16")
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name string
		cfg  llamacpp.Config
		want []string
	}{
		{"missing", llamacpp.Config{Model: "/no/such.gguf"}, []string{"/no/such.gguf", "failed to open"}},
		{"not a GGUF", llamacpp.Config{Model: file("text.gguf", []byte("hello, this is no model"))}, []string{"text.gguf", "magic"}},
		{"empty", llamacpp.Config{Model: file("empty.gguf", nil)}, []string{"empty.gguf"}},
		{"truncated", llamacpp.Config{Model: file("short.gguf", whole[:len(whole)-1000])}, []string{"short.gguf", "not within the file bounds"}},
		{"cut in the header", llamacpp.Config{Model: file("head.gguf", whole[:2000])}, []string{"head.gguf"}},
		{"another architecture", llamacpp.Config{Model: file("other.gguf", []byte(architecture(string(whole), "llama")))}, []string{"other.gguf", "architecture llama"}},
		{"an unknown architecture", llamacpp.Config{Model: file("unknown.gguf", []byte(architecture(string(whole), "qwenX")))}, []string{"unknown.gguf", "qwenX"}},
		{"KV type", llamacpp.Config{Model: good, KV: "q8_0"}, []string{"q8_0", "f16 or f32"}},
		{"negative context", llamacpp.Config{Model: good, Context: -1}, []string{"context of -1"}},
		{"context beyond the model", llamacpp.Config{Model: good, Context: 2049}, []string{"2049", "2048"}},
		{"threads", llamacpp.Config{Model: good, Threads: 513}, []string{"513 threads", "512"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e, err := llamacpp.Open(test.cfg)
			if err == nil {
				e.Close()
				t.Fatal("opened")
			}
			t.Log(err)
			expectLine(t, err, test.want...)
		})
	}
}

// architecture returns a GGUF file of qwen2 under another name of five letters,
// its tokenizer left as it is.
func architecture(file, name string) string {
	const pre = "tokenizer.ggml.pre"
	kept := strings.Index(file, pre) + len(pre) + 4 + 8 + len("qwen2") // the key, its type, the length and the value
	head := strings.ReplaceAll(file[:kept-len("qwen2")], "qwen2", name)
	return head + "qwen2" + strings.ReplaceAll(file[kept:], "qwen2", name)
}

// TestRefuseTokens expects bad steps to be errors that leave the sequence
// where it was.
func TestRefuseTokens(t *testing.T) {
	e := open(t, "F16", llamacpp.Config{Context: 20})
	want := generate(t, e, prompt(e, 12), 1, never)
	e.Reset()
	if _, err := e.Step(0, prompt(e, 12), nil); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		tokens []int32
		want   []string
	}{
		{"none", nil, []string{"no tokens"}},
		{"more than the context", prompt(e, 9), []string{"9", "12", "context of 20"}},
		{"negative", []int32{5, -1}, []string{"token 1", "-1"}},
		{"outside the vocabulary", []int32{int32(e.Hparams().NVocab)}, []string{"token 0", "vocabulary of 300"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := e.Step(1, test.tokens, newMemory())
			if err == nil {
				t.Fatal("accepted")
			}
			expectLine(t, err, test.want...)
		})
	}
	got, err := e.Step(1, []int32{argmax(want[0])}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !sameBits(got, want[1]) {
		t.Error("refused steps changed the sequence")
	}
}

func expectLine(t *testing.T, err error, parts ...string) {
	t.Helper()
	if strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("more than one line: %q", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %q", err, part)
		}
	}
}
