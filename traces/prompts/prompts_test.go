package prompts_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"attndiff/traces/prompts"
)

// answer is where a chat prompt hands over to the model.
const answer = "<|im_end|>\n<|im_start|>assistant\n"

func TestNames(t *testing.T) {
	want := []string{"code", "haiku", "long", "multilingual", "short", "single"}
	if got := prompts.Names(); !slices.Equal(got, want) {
		t.Errorf("Names() = %q, want %q", got, want)
	}
}

func TestLoadIsByteForByte(t *testing.T) {
	for _, name := range prompts.Names() {
		file, err := os.ReadFile(name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		text, err := prompts.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if text != string(file) || text == "" || !utf8.ValidString(text) {
			t.Errorf("%s: Load returns %q, the file holds %q", name, text, file)
		}
	}
}

func TestChatPromptsEndWhereTheAnswerBegins(t *testing.T) {
	for _, name := range []string{"haiku", "long", "multilingual"} {
		text, err := prompts.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text, "<|im_start|>user\n") || !strings.HasSuffix(text, answer) {
			t.Errorf("%s is not in the chat format: %q", name, text)
		}
	}
}

func TestLoadUnknown(t *testing.T) {
	for _, name := range []string{"", "sonnet", "haiku.txt", "../prompts/haiku", "doc.go"} {
		_, err := prompts.Load(name)
		if err == nil {
			t.Errorf("Load(%q) found something", name)
			continue
		}
		for _, there := range prompts.Names() {
			if !strings.Contains(err.Error(), there) {
				t.Errorf("Load(%q): %v does not list %s", name, err, there)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("Load(%q): %q is more than a line", name, err)
		}
	}
}
