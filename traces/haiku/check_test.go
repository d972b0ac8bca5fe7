package haiku_test

import (
	"regexp"
	"strings"
	"testing"

	"attndiff/traces/haiku"
)

const sea = "the sea is enough\nonly the water wanders\na cold driftwood falls"

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name, text, topic string
		wrong             string // part of the error; empty for a haiku
	}{
		{"a haiku", sea, "the sea", ""},
		{"a haiku, topic without article", sea, "sea", ""},
		{"newlines around", "\n" + sea + "\n", "the sea", ""},
		{"capitals and punctuation", "The sea is enough.\nOnly the water wanders,\na cold driftwood falls.", "The Sea", ""},
		{"two words named", "the autumn rain waits\nonly the water wanders\na cold driftwood falls", "autumn rain", ""},
		{"another topic", sea, "the moon", `"moon" is not named`},
		{"part of a word", "the season is here\n" + sea, "the sea", "4 lines"},
		{"topic inside a word", "as if the stone knew\nonly the water wanders\nthe sunrise is near", "the sun", `"sun" is not named`},
		{"words of the topic apart", "autumn by the rain\nonly the water wanders\na cold driftwood falls", "autumn rain", "is not named"},
		{"no topic", sea, "", "is not named"},
		{"two lines", "the sea is enough\nonly the water wanders", "the sea", "2 lines"},
		{"nothing", "", "the sea", "1 lines"},
		{"short first line", "the sea is near\nonly the water wanders\na cold driftwood falls", "the sea", "line 1 has 4"},
		{"long second line", "the sea is enough\nonly the old water wanders\na cold driftwood falls", "the sea", "line 2 has 8"},
		{"long third line", "the sea is enough\nonly the water wanders\na cold driftwood falls now", "the sea", "line 3 has 6"},
		{"unknown word", "the sea is enough\nonly the watr wanders\na cold driftwood falls", "the sea", `line 2: unknown word "watr"`},
		{"garbage between words", "the sea is enough\nonly the water wanders\na cold driftwood falls \ufffd", "the sea", "line 3: "},
		{"digits", "the sea is enough 7\nonly the water wanders\na cold driftwood falls", "the sea", `unknown word "7"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := haiku.Check(c.text, c.topic)
			if c.wrong == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("error %v, want one with %q", err, c.wrong)
			}
		})
	}
}

// vowels is the rule of thumb that counts groups of vowels. The dictionary is
// kept to words on which it agrees, so that other people's checkers do too.
var vowels = regexp.MustCompile(`[aeiouy]+`)

func TestData(t *testing.T) {
	topics := haiku.Topics()
	if len(topics) < 60 {
		t.Errorf("%d topics, want 60 or more", len(topics))
	}
	seen := make(map[string]bool)
	for _, topic := range topics {
		if seen[topic] {
			t.Errorf("%q is listed twice", topic)
		}
		seen[topic] = true
		if n, err := haiku.Syllables(topic); err != nil || n < 1 || n > 5 {
			t.Errorf("%q has %d syllables, %v", topic, n, err)
		}
	}
	row := regexp.MustCompile(`^[a-z']+\t[1-9]$`)
	for _, line := range haiku.DictionaryLines() {
		if !row.MatchString(line) {
			t.Errorf("%q is not a word, a tab and a number", line)
			continue
		}
		w, count, _ := strings.Cut(line, "\t")
		groups := len(vowels.FindAllString(w, -1))
		if strings.HasSuffix(w, "e") && !strings.HasSuffix(w, "le") {
			groups--
		}
		if want := max(groups, 1); count != string(rune('0'+want)) {
			t.Errorf("%q has %s syllables, by its vowels %d", w, count, want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(sea, "the sea")
	f.Add("", "")
	f.Add("a\nb\nc", "the ")
	f.Fuzz(func(t *testing.T, text, topic string) {
		if haiku.Check(text, topic) == nil && strings.Count(strings.Trim(text, "\n"), "\n") != 2 {
			t.Errorf("%q passes as a haiku", text)
		}
	})
}
