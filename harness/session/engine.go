package session

import (
	"attndiff/traces/trace"
)

// Engine is one side's runtime, as a worker drives it. An engine holds one
// sequence; Reset forgets it.
type Engine interface {
	// Info says what the engine is and what it loaded.
	Info() Info
	// Tokenize turns text into ids, special tokens parsed. Engines that take
	// ids only return an error.
	Tokenize(text string) ([]int32, error)
	// IsEOG reports whether generation ends with this id.
	IsEOG(id int32) bool
	// Step feeds tokens at the next positions and returns the logits of the
	// last row. step numbers the recordings; sink is nil when nothing is to be
	// recorded.
	Step(step int, tokens []int32, sink trace.Sink) (logits []float32, err error)
	// Warnings are what the engine noticed about its own run that does not
	// show in a tensor, such as a write out of bounds; in order, one line each.
	Warnings() []Warning
	// Reset empties the KV cache.
	Reset() error
	Close() error
}

// Annotator is an engine that can say how it computed the steps it recorded
// last. What it says becomes notes of the trace.
type Annotator interface {
	Notes() (map[string]string, error)
}

// Chooser is an engine that makes greedy choices itself: Choose returns the one
// after the last step. Of other engines the harness takes the largest logit.
type Chooser interface {
	Choose() (int32, error)
}

// Info is what an engine tells of itself.
type Info struct {
	Engine  string        `json:"engine"`
	Version string        `json:"version"`
	Device  string        `json:"device"`
	Hparams trace.Hparams `json:"hparams"`
}

// Spec is what it takes to open an engine.
type Spec struct {
	Engine    string   `json:"engine"` // "llama.cpp:cpu", "ours:emu", ...
	Model     string   `json:"model"`  // path of the GGUF
	KV        string   `json:"kv"`     // "f16" or "f32"
	FlashAttn bool     `json:"flash_attn,omitempty"`
	Path      string   `json:"path,omitempty"` // of our attention: "unfused", also "", or "fused"
	Faults    []string `json:"faults,omitempty"`
	Threads   int      `json:"threads,omitempty"` // 0: the engine's own choice
	Context   int      `json:"context"`           // tokens the KV cache must hold
	Seed      uint64   `json:"seed,omitempty"`    // varies what a correct engine must not depend on

	// Ordinary has memory that nobody wrote hold an ordinary number instead of
	// NaN, where the engine can choose.
	Ordinary bool `json:"ordinary_memory,omitempty"`
	// Bounds has a kernel stopped at an index outside of an array of its own,
	// where the engine can. Code compiled for it rounds differently.
	Bounds bool `json:"bounds,omitempty"`
}

// Opener opens the engine that a spec names. It runs in the worker.
type Opener func(Spec) (Engine, error)

// InputError is a mistake in what the user gave - a model, a prompt, a flag -
// as opposed to an engine that failed.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }
