package cli

import (
	"errors"
	"fmt"
	"os"

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
		text, err := os.ReadFile(f.promptFile)
		if err != nil {
			return p, fmt.Errorf("--prompt-file: %w; check the path", err)
		}
		p.text = string(text)
	default:
		p.name = f.prompt
		if chosen == "" {
			p.name = defaultPrompt
		}
		if p.text, err = prompts.Load(p.name); err != nil {
			return p, fmt.Errorf("--prompt: %w", err)
		}
	}
	if p.text == "" {
		return p, errors.New("prompt: empty; give at least one character")
	}
	return p, nil
}
