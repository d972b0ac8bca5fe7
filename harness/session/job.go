package session

import (
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Job is everything a worker is told: an engine, a prompt and what to do with
// it. A job without passes opens the engine and tokenizes.
type Job struct {
	Spec   Spec    `json:"spec"`
	Model  Model   `json:"model"`
	Text   string  `json:"text,omitempty"`   // the prompt, tokenized by this engine
	Tokens []int32 `json:"tokens,omitempty"` // or the prompt as ids
	Passes []Pass  `json:"passes"`

	// Warm runs one token before the first pass, which else pays for reading
	// the weights: the times of passes shall compare.
	Warm bool `json:"warm,omitempty"`
}

// steps is how many steps the job takes at most.
func (j *Job) steps() int {
	n := 0
	for i := range j.Passes {
		n += j.Passes[i].steps()
	}
	return n
}

// Model identifies the model in the traces a job writes.
type Model struct {
	Name    string `json:"name"`
	SHA256  string `json:"sha256"`
	Weights string `json:"weights"` // types of its matrices: "F16", "Q8_0+F32"
}

// Pass is one run over the prompt from an empty cache.
type Pass struct {
	Name string `json:"name"` // "record", "plain", "free": for progress and timing

	// Prompt, when set, takes only that many of the prompt's first tokens.
	Prompt int `json:"prompt,omitempty"`

	// Steps, when set, says how many of the prompt's tokens each step takes;
	// they sum to the prompt's length and nothing is decoded beyond them.
	// Without Steps the whole prompt is step 0, followed by up to Decode
	// greedy steps of one token, fewer when an end-of-generation token comes.
	Steps  []int `json:"steps,omitempty"`
	Decode int   `json:"decode,omitempty"`

	Trace  string    `json:"trace,omitempty"` // file to record to; "" records nothing
	Select Selection `json:"select"`
}

// Selection restricts what is recorded; the zero value records everything.
type Selection struct {
	Layers *[2]int   `json:"layers,omitempty"` // first and last layer
	Taps   []tap.Tap `json:"taps,omitempty"`
}

// Result is what a worker brings back.
type Result struct {
	Info    Info         `json:"info"`
	Prompt  []int32      `json:"prompt"`
	Passes  []PassResult `json:"passes"`
	Seconds float64      `json:"open_seconds"` // opening the engine

	// Warnings are the engine's own: of each tap the first, with how often it
	// came.
	Warnings []Warning `json:"warnings,omitempty"`
}

// PassResult is what one pass did.
type PassResult struct {
	Name    string   `json:"name"`
	Tokens  []int32  `json:"tokens"`  // every token fed, prompt then decoded
	Steps   []int    `json:"steps"`   // tokens per step
	Choices []int32  `json:"choices"` // greedy choice after each step
	Logits  []uint64 `json:"logits"`  // digest of each step's last logits row, bit for bit
	Ended   bool     `json:"ended"`   // an end-of-generation token was chosen
	Seconds float64  `json:"seconds"` // the engine's, copying recordings out of it included
	Write   float64  `json:"write"`   // writing recordings to the file
}

// Decoded returns the tokens fed after step 0.
func (p *PassResult) Decoded() []int32 {
	if len(p.Steps) == 0 {
		return nil
	}
	return p.Tokens[p.Steps[0]:]
}

// meta describes a pass's recording.
func (j *Job) meta(info Info, p *PassResult) trace.Meta {
	return trace.Meta{
		Engine:        info.Engine,
		EngineVersion: info.Version,
		Device:        info.Device,
		ModelSHA256:   j.Model.SHA256,
		ModelName:     j.Model.Name,
		Hparams:       info.Hparams,
		Tokens:        p.Tokens,
		Steps:         p.Steps,
		Notes:         j.notes(p),
	}
}

// notes tell a reader of the recording what no tensor in it does.
func (j *Job) notes(p *PassResult) map[string]string {
	notes := map[string]string{trace.NoteChoices: trace.EncodeChoices(p.Choices)}
	if j.Model.Weights != "" {
		notes[trace.NoteWeights] = j.Model.Weights
	}
	return notes
}
