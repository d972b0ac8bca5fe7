package page

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"attndiff/harness/report"
)

// How much text a page shows.
const (
	promptShown = 4000 // characters
	tokensShown = 400  // of each side
	tokensLead  = 100  // before the first that differs
)

// text is what one side says after the prompt.
type text struct {
	Side   string
	Engine string
	Words  []word
	Before int // tokens left out before the first shown
	After  int // and after the last
}

// word is a run of tokens that decode together: one, or as many as a character
// needs.
type word struct {
	Text   string
	Tokens []int32
	At     int // of the first among the side's tokens
	Ids    string
	Differ bool
}

// texts lays both sides' tokens beside each other. A token differs when the
// other side has another one, or none, at the same step.
func texts(r *report.Report, decode func([]int32) string) []text {
	ref, ours := r.Tokens.Reference, r.Tokens.Ours
	first := 0
	for first < min(len(ref), len(ours)) && ref[first] == ours[first] {
		first++
	}
	from := max(0, first-tokensLead)
	if max(len(ref), len(ours)) <= tokensShown {
		from = 0
	}
	return []text{
		newText("reference", r.Reference.Engine, ref, ours, from, decode),
		newText("ours", r.Ours.Engine, ours, ref, from, decode),
	}
}

func newText(side, engine string, own, other []int32, from int, decode func([]int32) string) text {
	from = min(from, len(own))
	to := min(len(own), from+tokensShown)
	t := text{Side: side, Engine: engine, Before: from, After: len(own) - to}
	for i := from; i < to; {
		w := word{At: i}
		w.Text, w.Tokens = piece(own[i:to], decode)
		for j := range w.Tokens {
			w.Differ = w.Differ || i+j >= len(other) || other[i+j] != own[i+j]
		}
		w.Ids = strings.Trim(fmt.Sprint(w.Tokens), "[]")
		t.Words = append(t.Words, w)
		i += len(w.Tokens)
	}
	return t
}

// longestPiece is how many tokens a character may take: one a byte.
const longestPiece = utf8.UTFMax

// piece decodes the first token together with those that complete its last
// character. A token that no others complete stands alone.
func piece(ids []int32, decode func([]int32) string) (string, []int32) {
	if decode == nil {
		return strconv.Itoa(int(ids[0])), ids[:1]
	}
	for n := 1; n <= min(longestPiece, len(ids)); n++ {
		if s := decode(ids[:n]); utf8.ValidString(s) && !slices.Contains([]rune(s), utf8.RuneError) {
			return s, ids[:n]
		}
	}
	return decode(ids[:1]), ids[:1]
}

// clipped cuts text to so many characters and says how many it left out.
func clipped(s string, most int) (string, int) {
	runes := []rune(s)
	if len(runes) <= most {
		return s, 0
	}
	return string(runes[:most]), len(runes) - most
}
