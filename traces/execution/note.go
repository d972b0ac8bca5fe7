package execution

import (
	"encoding/json"
	"fmt"
)

// Names of the notes, by the step they describe: [Phases] holds the step's
// name at its number.
const (
	graphNote    = "graph."
	launchesNote = "launches."
	kernelsNote  = "kernels"
)

// Phases name the steps that are described: step 0 and step 1.
var Phases = [...]string{"prefill", "decode"}

// Notes are a trace's notes, by name.
type Notes map[string]string

// put adds a note.
func (n Notes) put(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("note %s: %w", name, err)
	}
	n[name] = string(text)
	return nil
}

// read decodes a note into value; false when there is none.
func (n Notes) read(name string, value any) (bool, error) {
	text, ok := n[name]
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal([]byte(text), value); err != nil {
		return false, fmt.Errorf("note %s: %w", name, err)
	}
	return true, nil
}

// PutGraph adds the graph of its step.
func (n Notes) PutGraph(g *Graph) error { return n.put(graphNote+Phases[g.Step], g) }

// Graph returns the graph of a step, nil when the trace does not tell it.
func (n Notes) Graph(step int) (*Graph, error) {
	g := new(Graph)
	ok, err := n.read(graphNote+Phases[step], g)
	if err != nil || !ok {
		return nil, err
	}
	if err := g.check(); err != nil {
		return nil, fmt.Errorf("note %s%s: %w", graphNote, Phases[step], err)
	}
	return g, nil
}

// PutLaunches adds the launches of their step.
func (n Notes) PutLaunches(l *Launches) error { return n.put(launchesNote+Phases[l.Step], l) }

// Launches returns the launches of a step, nil when the trace does not tell
// them.
func (n Notes) Launches(step int) (*Launches, error) {
	l := new(Launches)
	ok, err := n.read(launchesNote+Phases[step], l)
	if err != nil || !ok {
		return nil, err
	}
	return l, nil
}

// Sources are kernel files by base name, as they were compiled.
type Sources map[string]string

// PutSources adds the kernels' text.
func (n Notes) PutSources(s Sources) error { return n.put(kernelsNote, s) }

// Sources returns the kernels' text, nil when the trace does not hold it.
func (n Notes) Sources() (Sources, error) {
	var s Sources
	_, err := n.read(kernelsNote, &s)
	return s, err
}
