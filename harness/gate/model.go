package gate

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"go.yaml.in/yaml/v3"

	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/traces/gguf"
	"attndiff/traces/gguf/writer"
	"attndiff/traces/models"
	"attndiff/traces/synth"
)

// Model is a model of the matrix: the shipped one, that one written again with
// matrices of another type, a synthetic one, or a file.
type Model struct {
	Recode string      // the type, "" for no recoding
	Synth  *synth.Spec // nil for a file
	File   string      // "" for the shipped model
}

// readModels reads the models by name: "shipped", or a mapping with one of
// recode, synth and file.
func (p matrixParser) readModels(n *yaml.Node) error {
	return p.entries(n, "models", func(name string, at, value *yaml.Node) error {
		if err := p.name(at, "model"); err != nil {
			return err
		}
		if value.Kind == yaml.ScalarNode {
			if value.Value != "shipped" {
				return p.errorf(value, "model %s is %s; want shipped, or one of recode, synth and file", name, shown(value))
			}
			p.m.models[name] = Model{}
			return nil
		}
		m, err := p.model(name, value)
		p.m.models[name] = m
		return err
	})
}

func (p matrixParser) model(name string, n *yaml.Node) (m Model, err error) {
	spec := synth.Spec{}
	var shape, typ string
	seed, base := 1, 0
	number := func(what string, to *int) func(*yaml.Node) error { return p.integer(what, 1, 1<<20, to) }
	own := synth.Spec{}
	types := slices.Concat(writer.Types(), writer.QuantizedTypes())
	err = p.mapping(n, "model "+name, fields{
		"recode": p.choice("recode", &m.Recode, types...),
		"file":   p.text("file", &m.File),
		"synth":  p.choice("synth", &shape, synth.Shapes()...),
		"type":   p.choice("type", &typ, types...),
		"seed":   p.integer("seed", 0, 1<<31-1, &seed),
		"layers": number("layers", &own.Layers), "embd": number("embd", &own.Embd), "heads": number("heads", &own.Heads),
		"heads-kv": number("heads-kv", &own.HeadsKV), "ff": number("ff", &own.FF), "vocab": number("vocab", &own.Vocab),
		"context":   number("context", &own.Context),
		"rope-base": p.integer("rope-base", 2, 1<<31-1, &base),
		"untied":    p.boolean("untied", &own.Untied), "zero-biases": p.boolean("zero-biases", &own.ZeroBiases),
	})
	if err != nil {
		return m, err
	}
	given := 0
	for _, s := range []string{m.Recode, m.File, shape} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		return m, p.errorf(n, "model %s: give one of recode, synth and file", name)
	}
	if m.File != "" {
		m.File = p.path(m.File)
	}
	if shape == "" {
		if own != (synth.Spec{}) || typ != "" || seed != 1 || base != 0 {
			return m, p.errorf(n, "model %s: type, seed and sizes belong to a synthetic model; leave them out", name)
		}
		return m, nil
	}
	if spec, err = synth.Named(shape); err != nil {
		return m, p.errorf(n, "model %s: %v", name, err)
	}
	for to, v := range map[*int]int{&spec.Layers: own.Layers, &spec.Embd: own.Embd, &spec.Heads: own.Heads,
		&spec.HeadsKV: own.HeadsKV, &spec.FF: own.FF, &spec.Vocab: own.Vocab, &spec.Context: own.Context} {
		if v != 0 {
			*to = v
		}
	}
	spec.Seed, spec.Untied, spec.ZeroBiases = uint64(seed), own.Untied, own.ZeroBiases
	if typ != "" {
		spec.Type = typ
	}
	if base != 0 {
		spec.RopeBase = float64(base)
	}
	if err := spec.Validate(); err != nil {
		return m, p.errorf(n, "model %s: %v", name, err)
	}
	m.Synth = &spec
	return m, nil
}

// opened is a model file ready to run.
type opened struct {
	*gguf.File
	id        session.Model
	tokenizer string // the file whose vocabulary turns texts into ids
}

// shelf opens the models of a matrix, each once and when it is first needed.
// Those that are no file yet are written into a folder.
type shelf struct {
	models map[string]Model
	dir    string

	mu   sync.Mutex
	held map[string]func() (*opened, error)
}

func newShelf(models map[string]Model, dir string) *shelf {
	return &shelf{models: models, dir: dir, held: map[string]func() (*opened, error){}}
}

// get opens the model of a name. The error is a [session.InputError] when its
// file is to blame.
func (s *shelf) get(name string) (*opened, error) {
	s.mu.Lock()
	get := s.held[name]
	if get == nil {
		get = sync.OnceValues(func() (*opened, error) { return s.open(name) })
		s.held[name] = get
	}
	s.mu.Unlock()
	return get()
}

func (s *shelf) open(name string) (*opened, error) {
	m := s.models[name]
	path := m.File
	var err error
	if path == "" && m.Synth == nil {
		if path, err = models.Path(); err != nil {
			return nil, err
		}
	}
	tokenizer := path
	switch {
	case m.Synth != nil:
		path = filepath.Join(s.dir, name+".gguf")
		tokenizer, err = path, engines.Synthesize(path, *m.Synth)
	case m.Recode != "":
		from := path
		path = filepath.Join(s.dir, name+".gguf")
		err = engines.Recode(from, path, m.Recode)
	}
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	f, err := engines.OpenModel(path)
	if err != nil {
		return nil, err
	}
	sum, err := f.SHA256()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &opened{f, session.Model{Name: f.Name, SHA256: sum}, tokenizer}, nil
}

// close closes what was opened.
func (s *shelf) close() {
	for _, get := range s.held {
		if m, err := get(); err == nil {
			m.Close()
		}
	}
}

// lexicon turns prompts into ids, each once per tokenizer.
type lexicon struct {
	runner  *session.Runner
	prompts map[string]Prompt

	mu   sync.Mutex
	held map[[2]string]func() ([]int32, error)
}

func newLexicon(r *session.Runner, prompts map[string]Prompt) *lexicon {
	return &lexicon{runner: r, prompts: prompts, held: map[[2]string]func() ([]int32, error){}}
}

// ids returns the tokens of a prompt for a model.
func (l *lexicon) ids(ctx context.Context, m *opened, prompt string) ([]int32, error) {
	p := l.prompts[prompt]
	if p.Tokens != nil {
		return p.Tokens, nil
	}
	key := [2]string{m.tokenizer, prompt}
	l.mu.Lock()
	get := l.held[key]
	if get == nil {
		get = sync.OnceValues(func() ([]int32, error) {
			// A byte-level vocabulary spends at most one token a byte, and one
			// more may be put in front.
			spec := session.Spec{Engine: engines.LlamaCPU, Model: m.tokenizer, KV: "f16", Threads: 1, Context: len(p.Text) + 1}
			res, err := l.runner.Do(ctx, session.Job{Spec: spec, Text: p.Text})
			if err != nil {
				return nil, fmt.Errorf("prompt %s: %w", prompt, err)
			}
			return res.Prompt, nil
		})
		l.held[key] = get
	}
	l.mu.Unlock()
	return get()
}
