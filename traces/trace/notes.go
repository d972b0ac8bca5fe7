package trace

import (
	"encoding/json"
	"fmt"
)

// Notes that programs read; any other note is for people.
const (
	// NoteWeights is the types of the model's matrices, the largest share of
	// bytes first: "F16", "Q8_0+F32".
	NoteWeights = "weights"
	// NoteChoices is a JSON array of the engine's own greedy choice after each
	// step, whatever it was fed next.
	NoteChoices = "greedy_choices"
)

// EncodeChoices spells greedy choices, one per step, as NoteChoices.
func EncodeChoices(ids []int32) string {
	text, err := json.Marshal(ids)
	if err != nil { // numbers always marshal
		panic(err)
	}
	return string(text)
}

// Choices returns the engine's greedy choice after each step, nil when the
// trace does not tell.
func (m Meta) Choices() ([]int32, error) {
	text, ok := m.Notes[NoteChoices]
	if !ok {
		return nil, nil
	}
	var ids []int32
	if err := json.Unmarshal([]byte(text), &ids); err != nil {
		return nil, fmt.Errorf("metadata note.%s: not a JSON array of token ids: %w", NoteChoices, err)
	}
	if len(ids) != len(m.Steps) {
		return nil, fmt.Errorf("metadata note.%s: %d choices for %d steps; it holds one per step", NoteChoices, len(ids), len(m.Steps))
	}
	return ids, nil
}
