package haiku

import (
	"fmt"
	"regexp"
	"strings"
)

// form is the number of syllables of each line.
var form = [...]int{5, 7, 5}

var (
	word    = regexp.MustCompile(`[\p{L}\p{N}']+`)
	article = regexp.MustCompile(`(?i)^(the|an|a) `)
)

// Check returns nil if text is a haiku about topic, and otherwise an error
// that says which line is wrong and how. Newlines around the text do not
// count. The topic may have its article: "the sea" is named by any line with
// the word sea in it.
func Check(text, topic string) error {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	if len(lines) != len(form) {
		return fmt.Errorf("%d lines, a haiku has %d: %q", len(lines), len(form), text)
	}
	for i, line := range lines {
		n, err := Syllables(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
		if n != form[i] {
			return fmt.Errorf("line %d has %d syllables, not %d: %q", i+1, n, form[i], line)
		}
	}
	if !names(text, topic) {
		return fmt.Errorf("%q is not named in %q", bare(topic), text)
	}
	return nil
}

// Syllables counts the syllables of a line. A word that the dictionary does
// not hold is an error, as is anything between the words but spaces, commas
// and periods.
func Syllables(line string) (int, error) {
	total := 0
	for _, w := range words(line) {
		n, ok := dictionary()[w]
		if !ok {
			return 0, fmt.Errorf("unknown word %q in %q", w, line)
		}
		total += n
	}
	if rest := strings.Trim(word.ReplaceAllString(line, ""), " ,."); rest != "" {
		return 0, fmt.Errorf("%q between the words of %q", rest, line)
	}
	return total, nil
}

// names reports whether the topic's words stand next to each other in text.
func names(text, topic string) bool {
	want := words(bare(topic))
	return len(want) > 0 && strings.Contains(spaced(words(text)), spaced(want))
}

func bare(topic string) string { return article.ReplaceAllString(topic, "") }

func words(line string) []string { return word.FindAllString(strings.ToLower(line), -1) }

// spaced puts a space around every word, so that "sea" is not found in "season".
func spaced(words []string) string { return " " + strings.Join(words, " ") + " " }
