package exam

import (
	"fmt"
	"path/filepath"
	"strings"

	"attndiff/harness/session"
)

// Setting is what a run is made on, apart from its faults. The reference runs
// it once, whatever the number of cases.
type Setting struct {
	Model   *Model
	Prompt  string // its name in traces/prompts
	Decode  int    // greedy steps after the prompt
	KV      string // "f16" or "f32"
	Threads int    // of llama.cpp; 0 lets it choose
	Flash   bool   // llama.cpp with flash attention
}

// Model is a model file that runs are made on.
type Model struct {
	Name    string // as tables print it: "haiku F16"
	Path    string
	ID      session.Model
	Context int // tokens it was made for
	Prompts map[string][]int32

	write func(path string) error // makes the file; nil where it is there
}

// String spells a setting in a few words.
func (s Setting) String() string {
	parts := []string{s.Prompt, s.Model.Name, "kv " + s.KV, fmt.Sprintf("%d steps", s.Decode)}
	if s.Threads > 0 {
		parts = append(parts, fmt.Sprintf("%d threads", s.Threads))
	}
	if s.Flash {
		parts = append(parts, "flash attention")
	}
	return strings.Join(parts, ", ")
}

// job is a setting's run of an engine, without passes.
func (s Setting) job(engine string) session.Job {
	tokens := s.Model.Prompts[s.Prompt]
	return session.Job{
		Spec: session.Spec{Engine: engine, Model: s.Model.Path, KV: s.KV, FlashAttn: s.Flash, Threads: s.Threads,
			Context: min(len(tokens)+s.Decode, s.Model.Context)},
		Model:  s.Model.ID,
		Tokens: tokens,
	}
}

// file is where the reference's run of the setting is recorded.
func (s Setting) file(dir string) string {
	name := fmt.Sprintf("%s-%s-%s-%d-%d-%t.safetensors", s.Prompt, s.Model.Name, s.KV, s.Decode, s.Threads, s.Flash)
	return filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
}
