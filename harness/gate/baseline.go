package gate

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"attndiff/traces/tap"
)

// Baseline is what the cases of a matrix did when it was last taken. Its file
// is text, a few lines a case and one an op, so that two branches merge:
//
//	case haiku/short/f16/8/ours:emu
//	model e2813a634ac567d6            first digits of the file's SHA-256
//	prompt 6 0123456789abcdef         tokens, and a digest of their ids
//	decoded 198 12 7                  tokens fed after the prompt
//	unclean missing kqv               what was not clean, if anything
//	op q_proj 6.7e-15 7.1e-15 5e-15   op_ours, the largest of all steps, by layer
//
// Cases are sorted by name, ops in the order of execution. A line that begins
// with # is a comment.
type Baseline struct {
	File  string
	Cases map[string]*Record
}

// Record is one case of a baseline.
type Record struct {
	Model   string  // first 16 digits of the SHA-256
	Prompt  string  // number of tokens and digest, as promptDigest gives it
	Decoded []int32 // fed after the prompt
	Unclean []string
	Ops     map[tap.Tap][]float64 // by layer; NaN where the op was not judged
	Line    int                   // in the file
}

// header explains the file to who opens it.
const header = `# Written by "attndiff gate --update": for each case of the matrix beside it, what was fed and what each op got wrong
# by itself (NMSE against the float64 oracle, the largest of all steps, layer by layer). The gate fails on an op that
# grows more than 4 times over this.
`

// ReadBaseline reads a baseline; where there is no file it is empty.
func ReadBaseline(path string) (*Baseline, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	return ParseBaseline(path, text)
}

// ParseBaseline reads a baseline from the text of the file named path. The
// error is an [InputError].
func ParseBaseline(path string, text []byte) (*Baseline, error) {
	b := &Baseline{File: path, Cases: map[string]*Record{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	var at *Record
	n := 0
	bad := func(format string, args ...any) error { return &InputError{path, n, fmt.Sprintf(format, args...)} }
	for lines.Scan() {
		n++
		word, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		switch {
		case word == "" || strings.HasPrefix(word, "#"):
		case word == "case":
			if again := b.Cases[rest]; rest == "" || again != nil {
				return nil, bad("case %q has no name or is there twice; keep one", rest)
			}
			at = &Record{Ops: map[tap.Tap][]float64{}, Line: n}
			b.Cases[rest] = at
		case at == nil:
			return nil, bad("%q before the first case; a record begins with a line: case NAME", word)
		default:
			if err := at.read(word, rest); err != nil {
				return nil, bad("%v", err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		n++
		return nil, bad("%v", err)
	}
	for _, name := range sortedKeys(b.Cases) {
		if r := b.Cases[name]; r.Model == "" || r.Prompt == "" || len(r.Ops) == 0 {
			n = r.Line
			return nil, bad("case %s: lacks its model, its prompt or its ops; write it again with --update", name)
		}
	}
	return b, nil
}

// read reads one line of a record.
func (r *Record) read(word, rest string) error {
	parts := strings.Fields(rest)
	switch word {
	case "model":
		if raw, err := hex.DecodeString(rest); err != nil || len(raw) != 8 || r.Model != "" {
			return fmt.Errorf("model %q: want one line with 16 hexadecimal digits", rest)
		}
		r.Model = rest
	case "prompt":
		if len(parts) != 2 || r.Prompt != "" {
			return fmt.Errorf("prompt %q: want one line with the number of tokens and their digest", rest)
		}
		r.Prompt = strings.Join(parts, " ")
	case "decoded":
		for _, p := range parts {
			id, err := strconv.ParseUint(p, 10, 31)
			if err != nil {
				return fmt.Errorf("decoded: %q is not a token id", p)
			}
			r.Decoded = append(r.Decoded, int32(id))
		}
	case "unclean":
		r.Unclean = append(r.Unclean, rest)
	case "op":
		if len(parts) < 2 {
			return fmt.Errorf("op %q: want a tap and a figure per layer", rest)
		}
		t, err := tap.Parse(parts[0])
		if err != nil || r.Ops[t] != nil {
			return fmt.Errorf("op %q: no tap, or there twice", parts[0])
		}
		for _, p := range parts[1:] {
			v, err := strconv.ParseFloat(p, 64)
			if p == notJudged {
				v, err = math.NaN(), nil
			}
			if err != nil || v < 0 || math.IsInf(v, 0) || math.IsNaN(v) && p != notJudged {
				return fmt.Errorf("op %s: %q is no figure; want one such as 6.7e-15, 0, or %s", parts[0], p, notJudged)
			}
			r.Ops[t] = append(r.Ops[t], v)
		}
	default:
		return fmt.Errorf("unknown word %q; want case, model, prompt, decoded, unclean or op", word)
	}
	return nil
}

// notJudged stands for an op that had no figure.
const notJudged = "-"

// figure spells an error with two digits, which is what the baseline keeps.
func figure(v float64) string {
	switch {
	case math.IsNaN(v):
		return notJudged
	case v == 0:
		return "0"
	}
	return strconv.FormatFloat(v, 'e', 1, 64)
}

// Text is the baseline's file.
func (b *Baseline) Text() []byte {
	var out bytes.Buffer
	out.WriteString(header)
	for _, name := range sortedKeys(b.Cases) {
		r := b.Cases[name]
		fmt.Fprintf(&out, "\ncase %s\nmodel %s\nprompt %s\n", name, r.Model, r.Prompt)
		if len(r.Decoded) > 0 {
			fmt.Fprintf(&out, "decoded %s\n", strings.Trim(fmt.Sprint(r.Decoded), "[]"))
		}
		for _, u := range slices.Sorted(slices.Values(r.Unclean)) {
			fmt.Fprintf(&out, "unclean %s\n", u)
		}
		for _, t := range tap.All() {
			if figures := r.Ops[t]; figures != nil {
				fmt.Fprintf(&out, "op %s", t)
				for _, v := range figures {
					fmt.Fprintf(&out, " %s", figure(v))
				}
				out.WriteByte('\n')
			}
		}
	}
	return out.Bytes()
}
