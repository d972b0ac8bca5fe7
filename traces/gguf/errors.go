package gguf

import "fmt"

// Error says why a model file cannot be used, in one line.
type Error struct {
	Path  string // the file
	Where string // `key "qwen2.block_count"`, `tensor "output_norm.weight"`, "header"; may be empty
	What  string // what is wrong
	Fix   string // what to do about it
	Err   error  // the cause, where there is one
}

// Error returns "model PATH: WHERE: WHAT; FIX".
func (e *Error) Error() string {
	where := ""
	if e.Where != "" {
		where = e.Where + ": "
	}
	return fmt.Sprintf("model %s: %s%s; %s", e.Path, where, e.What, e.Fix)
}

// Unwrap returns the cause, for errors.Is(err, fs.ErrNotExist) and the like.
func (e *Error) Unwrap() error { return e.Err }

// What to do, by kind of problem.
const (
	fixPath      = "check the path"
	fixCorrupt   = "the file is truncated or corrupt: fetch or convert it again"
	fixConvert   = "convert the model again"
	fixTokenizer = "convert the model again with its tokenizer"
	fixOther     = "use a Qwen2 or Qwen2.5 model without it"
)

// The names in a file come from outside, so they are quoted wherever they are
// printed: a corrupt one may hold line breaks.
func atKey(key string) string     { return fmt.Sprintf("key %q", key) }
func atTensor(name string) string { return fmt.Sprintf("tensor %q", name) }
