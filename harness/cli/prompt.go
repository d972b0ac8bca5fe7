package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"attndiff/traces/prompts"
)

// prompt is what to run, as text or as ids.
type prompt struct {
	name   string // of a shipped prompt, else ""
	text   string
	tokens []int32
}

// defaultPrompt is run when no prompt is given.
const defaultPrompt = "haiku"

// promptFlags say what to run; one at most may be given.
var promptFlags = []string{"prompt", "prompt-text", "prompt-file", "tokens"}

// resolvePrompt reads the prompt that the flags name.
func (f *runFlags) resolvePrompt() (p prompt, err error) {
	chosen := ""
	for _, name := range promptFlags {
		if !f.given(name) {
			continue
		}
		if chosen != "" {
			return p, fmt.Errorf("--%s and --%s: both give a prompt; leave one out", chosen, name)
		}
		chosen = name
	}
	switch chosen {
	case "tokens":
		p.tokens, err = parseTokens(f.tokens)
		return p, err
	case "prompt-text":
		p.text = f.promptText
	case "prompt-file":
		if p.text, err = readPrompt(f.promptFile); err != nil {
			return p, fmt.Errorf("--prompt-file: %w", err)
		}
	default:
		p.name = f.prompt
		if chosen == "" {
			p.name = defaultPrompt
		}
		if p.text, err = prompts.Load(p.name); err != nil {
			return p, fmt.Errorf("--prompt: %w", err)
		}
	}
	switch at := notUTF8(p.text); {
	case p.text == "":
		return p, errors.New("prompt: empty; give at least one character")
	case at >= 0:
		return p, fmt.Errorf("prompt: byte %d is not UTF-8; convert the text, or give --tokens", at)
	}
	return p, nil
}

// maxPromptBytes bounds a prompt's text: more than any model's context takes.
const maxPromptBytes = 1 << 20

// readPrompt reads a prompt's text from a file, or from a pipe that ends.
func readPrompt(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w; check the path", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPromptBytes+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("%w; check the path", err)
	case len(text) > maxPromptBytes:
		return "", fmt.Errorf("%s: longer than %d bytes, which is no prompt; check the path", path, maxPromptBytes)
	}
	return string(text), nil
}

// notUTF8 is the place of the first byte that is not UTF-8, -1 when all are:
// the two engines would make different text of it.
func notUTF8(text string) int {
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)) {
			return i
		}
	}
	return -1
}
