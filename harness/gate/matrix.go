package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"attndiff/traces/prompts"
	"attndiff/traces/tap"
)

// Matrix is what a gate runs.
type Matrix struct {
	File    string // as it was named
	SHA256  string // of the file's text
	Cases   []Case // in the file's order
	Goldens []Golden

	Baseline string // files beside it, as paths from the working directory
	Waivers  string

	models  map[string]Model
	prompts map[string]Prompt
}

// Prompt is a text, or ids as they are.
type Prompt struct {
	Text   string
	Tokens []int32
}

// ReadMatrix reads a matrix file. The error is an [InputError] where the
// file's text is to blame.
func ReadMatrix(path string) (*Matrix, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("matrix: %w; name one with --matrix FILE", err)
	}
	return ParseMatrix(path, text)
}

// ParseMatrix reads a matrix from the text of the file named path.
func ParseMatrix(path string, text []byte) (*Matrix, error) {
	sum := sha256.Sum256(text)
	m := &Matrix{File: path, SHA256: hex.EncodeToString(sum[:]), models: map[string]Model{}, prompts: map[string]Prompt{}}
	stem := strings.TrimSuffix(path, filepath.Ext(path))
	m.Baseline, m.Waivers = stem+".baseline", stem+".waivers.yaml"
	for _, name := range prompts.Names() {
		text, err := prompts.Load(name)
		if err != nil {
			return nil, err
		}
		m.prompts[name] = Prompt{Text: text}
	}
	p := matrixParser{document{path}, m}
	if err := p.read(text); err != nil {
		return nil, err
	}
	return m, nil
}

// matrixParser fills in a matrix.
type matrixParser struct {
	document
	m *Matrix
}

func (p matrixParser) read(text []byte) error {
	root, err := p.parse(text)
	if err != nil {
		return err
	}
	if root == nil {
		return &InputError{p.file, 1, "empty; a matrix has models and cases"}
	}
	// What cases refer to is read first, wherever it stands.
	var groups, goldens *yaml.Node
	later := func(at **yaml.Node) func(*yaml.Node) error {
		return func(n *yaml.Node) error { *at = n; return nil }
	}
	beside := func(what string, to *string) func(*yaml.Node) error {
		return func(n *yaml.Node) error {
			err := p.text(what, to)(n)
			*to = p.path(*to)
			return err
		}
	}
	if err := p.mapping(root, "the matrix", fields{
		"models": p.readModels, "prompts": p.readPrompts, "cases": later(&groups), "goldens": later(&goldens),
		"baseline": beside("baseline", &p.m.Baseline), "waivers": beside("waivers", &p.m.Waivers),
	}); err != nil {
		return err
	}
	if groups == nil {
		return p.errorf(root, "no cases; list groups of models, prompts and so on under the key cases")
	}
	if err := p.readGroups(groups); err != nil {
		return err
	}
	if goldens != nil {
		return p.readGoldens(goldens)
	}
	return nil
}

// path is a path in the file as one from the working directory.
func (p matrixParser) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(p.file), name)
}

// plainName is what models, prompts and goldens are called: a case's name is
// made of these, and files are named after it.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (p matrixParser) name(n *yaml.Node, what string) error {
	if !plainName.MatchString(n.Value) {
		return p.errorf(n, "%s %q: a name is made of letters, digits, dots, - and _", what, n.Value)
	}
	return nil
}

func (p matrixParser) readPrompts(n *yaml.Node) error {
	return p.entries(n, "prompts", func(name string, at, value *yaml.Node) error {
		if err := p.name(at, "prompt"); err != nil {
			return err
		}
		if _, shipped := p.m.prompts[name]; shipped {
			return p.errorf(at, "prompt %q is one of traces/prompts; give this another name", name)
		}
		var own Prompt
		var file string
		given := 0
		once := func(read func(*yaml.Node) error) func(*yaml.Node) error {
			return func(n *yaml.Node) error { given++; return read(n) }
		}
		err := p.mapping(value, "prompt "+name, fields{
			"text": once(p.text("text", &own.Text)),
			"file": once(p.text("file", &file)),
			"tokens": once(p.each("tokens", func(n *yaml.Node) error {
				id := 0
				err := p.integer("a token", 0, 1<<31-1, &id)(n)
				own.Tokens = append(own.Tokens, int32(id))
				return err
			})),
		})
		if err == nil && given != 1 {
			err = p.errorf(value, "prompt %s: give one of text, file and tokens", name)
		}
		if err == nil && file != "" {
			raw, failed := os.ReadFile(p.path(file))
			if own.Text = string(raw); failed != nil || own.Text == "" {
				err = p.errorf(value, "prompt %s: %s cannot be read or is empty", name, p.path(file))
			}
		}
		p.m.prompts[name] = own
		return err
	})
}

func (p matrixParser) readGoldens(n *yaml.Node) error {
	return p.entries(n, "goldens", func(name string, at, value *yaml.Node) error {
		if err := p.name(at, "golden"); err != nil {
			return err
		}
		g := Golden{Name: name, Line: at.Line, KV: "f16", Steps: 8, Path: p.path(filepath.Join("golden", name+".safetensors"))}
		if err := p.mapping(value, "golden "+name, fields{
			"model":  p.reference("model", p.m.models, &g.Model),
			"prompt": p.reference("prompt", p.m.prompts, &g.Prompt),
			"kv":     p.choice("kv", &g.KV, "f16", "f32"),
			"steps":  p.integer("steps", 0, maxSteps, &g.Steps),
			"taps": p.each("taps", func(n *yaml.Node) error {
				t, err := tap.Parse(n.Value)
				if err != nil || n.Kind != yaml.ScalarNode {
					return p.errorf(n, "taps: %s is not a tap", shown(n))
				}
				g.Taps = append(g.Taps, t)
				return nil
			}),
		}); err != nil {
			return err
		}
		if g.Model == "" || g.Prompt == "" || g.Taps == nil {
			return p.errorf(at, "golden %s: needs model, prompt and taps", name)
		}
		p.m.Goldens = append(p.m.Goldens, g)
		return nil
	})
}

// choice reads one of some words into p.
func (p matrixParser) choice(what string, to *string, words ...string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || !slices.Contains(words, n.Value) {
			return p.errorf(n, "%s is %s, want %s", what, shown(n), strings.Join(words, " or "))
		}
		*to = n.Value
		return nil
	}
}

// reference reads the name of something defined into to.
func (p matrixParser) reference(what string, defined any, to *string) func(*yaml.Node) error {
	var names []string
	switch defined := defined.(type) {
	case map[string]Model:
		names = sortedKeys(defined)
	case map[string]Prompt:
		names = sortedKeys(defined)
	}
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || !slices.Contains(names, n.Value) {
			return p.errorf(n, "unknown %s %s; want one of %s", what, shown(n), strings.Join(names, ", "))
		}
		*to = n.Value
		return nil
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
