package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// InputError is a mistake in a file that a person wrote.
type InputError struct {
	File string
	Line int // 0 when the mistake is of the whole file
	Text string
}

func (e *InputError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// document reads a YAML file strictly: a key that is unknown or twice there, a
// value of another kind than expected, an alias or a second document is an
// [InputError] with its line.
type document struct{ file string }

func (d document) errorf(n *yaml.Node, format string, args ...any) error {
	return &InputError{d.file, n.Line, fmt.Sprintf(format, args...)}
}

// yamlLine finds the line in the library's messages.
var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// parse returns the document's root; nil for an empty one.
func (d document) parse(text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var root, more yaml.Node
	err := dec.Decode(&root)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil {
		if err = dec.Decode(&more); err == nil {
			return nil, d.errorf(&more, "a second document begins; keep one to a file")
		} else if errors.Is(err, io.EOF) {
			return root.Content[0], nil
		}
	}
	m := yamlLine.FindStringSubmatch(err.Error())
	line, _ := strconv.Atoi(m[1]) // 0 when the message has none
	return nil, &InputError{d.file, max(line, 1), "not YAML: " + strings.TrimPrefix(err.Error(), m[0])}
}

// kinds names YAML's kinds in messages.
var kinds = map[yaml.Kind]string{yaml.MappingNode: "a mapping of keys to values", yaml.SequenceNode: "a list",
	yaml.ScalarNode: "a single value", yaml.AliasNode: "an alias"}

// want refuses a node of another kind.
func (d document) want(n *yaml.Node, what string, kind yaml.Kind) error {
	if n.Kind != kind {
		return d.errorf(n, "%s is %s, want %s", what, kinds[n.Kind], kinds[kind])
	}
	return nil
}

// entries calls each with every key of a mapping, in the file's order.
func (d document) entries(n *yaml.Node, what string, each func(key string, at, value *yaml.Node) error) error {
	if err := d.want(n, what, yaml.MappingNode); err != nil {
		return err
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if err := d.want(k, "a key of "+what, yaml.ScalarNode); err != nil {
			return err
		}
		if at, again := seen[k.Value]; again {
			return d.errorf(k, "%s has %q twice, first in line %d; keep one", what, k.Value, at)
		}
		seen[k.Value] = k.Line
		if err := each(k.Value, k, v); err != nil {
			return err
		}
	}
	return nil
}

// fields are the keys that a mapping may have and what reads each.
type fields map[string]func(*yaml.Node) error

// mapping reads a mapping of known keys.
func (d document) mapping(n *yaml.Node, what string, known fields) error {
	return d.entries(n, what, func(key string, at, value *yaml.Node) error {
		read, ok := known[key]
		if !ok {
			return d.errorf(at, "%s has no key %q; its keys are %s", what, key, strings.Join(sortedKeys(known), ", "))
		}
		return read(value)
	})
}

// text reads a string into p.
func (d document) text(what string, p *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if err := d.want(n, what, yaml.ScalarNode); err != nil {
			return err
		}
		if n.Tag == "!!null" || n.Value == "" {
			return d.errorf(n, "%s is empty; give a value or leave the key out", what)
		}
		*p = n.Value
		return nil
	}
}

// integer reads a whole number of at least low into p.
func (d document) integer(what string, low, high int, p *int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil || v < low || v > high {
			return d.errorf(n, "%s is %s, want a whole number from %d to %d", what, shown(n), low, high)
		}
		*p = v
		return nil
	}
}

// boolean reads true or false into p.
func (d document) boolean(what string, p *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
			return d.errorf(n, "%s is %s, want true or false", what, shown(n))
		}
		*p = n.Value == "true"
		return nil
	}
}

// each reads a list, or a single value in its place, element by element.
func (d document) each(what string, read func(*yaml.Node) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode {
			return read(n)
		}
		if len(n.Content) == 0 {
			return d.errorf(n, "%s is an empty list; name at least one", what)
		}
		for _, e := range n.Content {
			if err := read(e); err != nil {
				return err
			}
		}
		return nil
	}
}

// shown is a node's value as messages show it.
func shown(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return strconv.Quote(n.Value)
	}
	return kinds[n.Kind]
}
