package gate

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"attndiff/harness/engines"
	"attndiff/ours/qwen2"
)

// Case is one comparison of the matrix.
type Case struct {
	Model, Prompt   string // names
	KV              string // "f16" or "f32"
	Steps           int    // decoded tokens
	Reference, Ours string // engines
	Flash           bool   // llama.cpp with flash attention
	Path            string // of our attention: "unfused" or "fused"
	Repeat          int    // runs of ours
	Line            int    // of its group in the matrix
}

// Name identifies the case in every file: "haiku/short/f16/8/ours:emu", with
// what is unusual about it after that.
func (c Case) Name() string {
	parts := []string{c.Model, c.Prompt, c.KV, fmt.Sprint(c.Steps), c.Ours}
	if c.Reference != engines.LlamaCPU {
		parts = append(parts, c.Reference)
	}
	if c.Flash {
		parts = append(parts, "flash-attn")
	}
	if c.Path != string(qwen2.Unfused) {
		parts = append(parts, c.Path)
	}
	if c.Repeat > 1 {
		parts = append(parts, fmt.Sprintf("repeat-%d", c.Repeat))
	}
	return strings.Join(parts, "/")
}

// unfit are characters that do not belong in a folder's name.
var unfit = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// folder is a case's name as one of a folder.
func folder(name string) string { return unfit.ReplaceAllString(name, "-") }

// matches reports whether a case goes by one of some patterns (path.Match).
func matches(name string, patterns []string) bool {
	for _, p := range patterns {
		if p == name {
			return true
		}
		if ok, err := path.Match(p, name); ok && err == nil {
			return true
		}
	}
	return false
}

// Bounds of a matrix: a trace numbers its steps with four digits, and more
// cases than this are a slip of the pen.
const (
	maxSteps = 9999
	maxCases = 100_000
)

// readGroups crosses what each group lists.
func (p matrixParser) readGroups(n *yaml.Node) error {
	if err := p.want(n, "cases", yaml.SequenceNode); err != nil {
		return err
	}
	seen := map[string]int{}
	for _, g := range n.Content {
		list, err := p.group(g)
		if err != nil {
			return err
		}
		for _, c := range list {
			if at, again := seen[c.Name()]; again {
				return p.errorf(g, "case %s is there already, from line %d; leave one out", c.Name(), at)
			}
			seen[c.Name()] = g.Line
		}
		p.m.Cases = append(p.m.Cases, list...)
	}
	if len(p.m.Cases) == 0 {
		return p.errorf(n, "no cases; list groups of models, prompts and so on")
	}
	return nil
}

// group reads one entry of cases: the product of its lists.
func (p matrixParser) group(n *yaml.Node) ([]Case, error) {
	var models, names, kv, ours, refs, paths []string
	var steps []int
	flash, repeat := []bool{}, 1
	text := func(to *[]string, read func(*string) func(*yaml.Node) error) func(*yaml.Node) error {
		return func(n *yaml.Node) error {
			var s string
			err := read(&s)(n)
			*to = append(*to, s)
			return err
		}
	}
	engine := func(what string) func(*string) func(*yaml.Node) error {
		return func(to *string) func(*yaml.Node) error {
			return func(n *yaml.Node) error {
				if err := p.text(what, to)(n); err != nil {
					return err
				}
				return p.engine(n, what)
			}
		}
	}
	err := p.mapping(n, "a group of cases", fields{
		"models":  p.each("models", text(&models, func(s *string) func(*yaml.Node) error { return p.reference("model", p.m.models, s) })),
		"prompts": p.each("prompts", text(&names, func(s *string) func(*yaml.Node) error { return p.reference("prompt", p.m.prompts, s) })),
		"kv":      p.each("kv", text(&kv, func(s *string) func(*yaml.Node) error { return p.choice("kv", s, "f16", "f32") })),
		"ours":    p.each("ours", text(&ours, engine("ours"))), "reference": p.each("reference", text(&refs, engine("reference"))),
		"path": p.each("path", text(&paths, func(s *string) func(*yaml.Node) error {
			return p.choice("path", s, string(qwen2.Unfused), string(qwen2.Fused))
		})),
		"steps": p.each("steps", func(n *yaml.Node) error {
			v := 0
			err := p.integer("steps", 0, maxSteps, &v)(n)
			steps = append(steps, v)
			return err
		}),
		"flash-attn": p.each("flash-attn", func(n *yaml.Node) error {
			v := false
			err := p.boolean("flash-attn", &v)(n)
			flash = append(flash, v)
			return err
		}),
		"repeat": p.integer("repeat", 1, 1000, &repeat),
	})
	if err != nil {
		return nil, err
	}
	if models == nil || names == nil {
		return nil, p.errorf(n, "a group of cases needs models and prompts")
	}
	all := len(models) * len(names)
	for _, n := range []int{len(kv), len(steps), len(ours), len(refs), len(flash), len(paths)} {
		all *= max(n, 1)
	}
	if all+len(p.m.Cases) > maxCases {
		return nil, p.errorf(n, "more than %d cases; split the matrix into files", maxCases)
	}
	list := cross([]Case{{Repeat: repeat, Line: n.Line}}, models, func(c *Case, v string) { c.Model = v })
	list = cross(list, names, func(c *Case, v string) { c.Prompt = v })
	list = cross(list, or(kv, "f16"), func(c *Case, v string) { c.KV = v })
	list = cross(list, or(steps, 8), func(c *Case, v int) { c.Steps = v })
	list = cross(list, or(refs, engines.LlamaCPU), func(c *Case, v string) { c.Reference = v })
	list = cross(list, or(flash, false), func(c *Case, v bool) { c.Flash = v })
	list = cross(list, or(paths, string(qwen2.Unfused)), func(c *Case, v string) { c.Path = v })
	list = cross(list, or(ours, engines.OursEmu), func(c *Case, v string) { c.Ours = v })
	return list, nil
}

// engine refuses names that mean something else on another machine, or bring
// tokens of their own.
func (p matrixParser) engine(n *yaml.Node, what string) error {
	switch {
	case n.Value == engines.Auto:
		return p.errorf(n, "%s: auto is another engine on another machine; name one", what)
	case strings.HasPrefix(n.Value, "trace:"):
		return p.errorf(n, "%s: a trace brings its own tokens and cannot be crossed with prompts; compare it with `attndiff diff`", what)
	}
	if unavailable(n.Value) != "" {
		return nil // skipped where it cannot run
	}
	if err := engines.Check(n.Value); err != nil {
		return p.errorf(n, "%s: %v", what, err)
	}
	return nil
}

// unavailable says why an engine that is known cannot run on this machine; ""
// when it can, or is not known.
func unavailable(engine string) string {
	if engine != engines.OursCUDA && engine != engines.LlamaCUDA {
		return ""
	}
	if err := engines.Check(engine); err != nil {
		reason, _, _ := strings.Cut(err.Error(), "; ") // without the cure
		return reason
	}
	return ""
}

// cross makes of each case one for each value.
func cross[T any](cases []Case, values []T, set func(*Case, T)) []Case {
	var all []Case
	for _, c := range cases {
		for _, v := range values {
			set(&c, v)
			all = append(all, c)
		}
	}
	return all
}

// or is the list, or one value where nothing was listed.
func or[T any](list []T, otherwise T) []T {
	if len(list) == 0 {
		return []T{otherwise}
	}
	return list
}
