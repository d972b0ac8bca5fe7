package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mattn/go-runewidth"

	"attndiff/traces/tap"
)

// String spells a place as compilers do: file:line, function.
func (p Place) String() string {
	if p.File == nil {
		return ""
	}
	s := *p.File
	if p.Line != nil {
		s += ":" + strconv.Itoa(*p.Line)
	}
	if p.Function != nil {
		s += ", " + *p.Function
	}
	return s
}

// String is empty when the place is not known; s may be nil.
func (s *Symbol) String() string {
	if s == nil || s.File == nil {
		return ""
	}
	return Place{s.File, s.Line, s.Symbol}.String()
}

// Where names a recording in words: "q_rope, layer 2, step 0 (prefill)".
func Where(tapName string, layer *int, step int) string {
	s := tapName
	if layer != nil {
		s += fmt.Sprintf(", layer %d", *layer)
	}
	return s + fmt.Sprintf(", step %d (%s)", step, Phase(step))
}

// Coordinates names an element's axes: "token 4, head 7, dim 11".
func Coordinates(tapName string, index []int) string {
	t, err := tap.Parse(tapName)
	if err != nil || len(t.Axes()) != len(index) {
		return fmt.Sprint(index)
	}
	parts := make([]string, len(index))
	for i, axis := range t.Axes() {
		parts[i] = fmt.Sprintf("%s %d", axis, index[i])
	}
	return strings.Join(parts, ", ")
}

// Ranges spells an ascending list compactly: "layers 0-2,5", "step 0".
func Ranges(noun string, list []int) string {
	if len(list) == 0 {
		return ""
	}
	var parts []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		part := strconv.Itoa(list[i])
		if j > i {
			part += "-" + strconv.Itoa(list[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	if len(list) > 1 {
		noun += "s"
	}
	return noun + " " + strings.Join(parts, ",")
}

// Wrap breaks text into lines of at most width columns, at a space where there
// is one in the second half.
func Wrap(text string, width int) []string {
	runes := []rune(text)
	var lines []string
	for {
		cut := fitting(runes, width)
		if cut == len(runes) {
			return append(lines, string(runes))
		}
		for i := cut; i > cut/2; i-- {
			if runes[i] == ' ' {
				cut = i
				break
			}
		}
		lines = append(lines, string(runes[:cut]))
		runes = []rune(strings.TrimLeft(string(runes[cut:]), " "))
	}
}

// clip cuts text to so many columns.
func clip(text string, width int) string {
	runes := []rune(text)
	if fitting(runes, width) == len(runes) {
		return text
	}
	return string(runes[:fitting(runes, width-1)]) + "…"
}

// fitting is how many of the runes fit into so many columns, one at least.
func fitting(runes []rune, width int) int {
	for i, r := range runes {
		if width -= columns(r); width < 0 {
			return max(i, 1)
		}
	}
	return len(runes)
}

// columns is how many columns of a terminal a rune takes: two for most of East
// Asia's and for emoji, none for marks that combine. A sequence of emoji joined
// into one counts for more than it takes.
func columns(r rune) int { return terminal.RuneWidth(r) }

// terminal counts as terminals outside of East Asia do, whatever the locale.
var terminal = runewidth.Condition{}
