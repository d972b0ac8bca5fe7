package document

import (
	"fmt"
	"strings"
	"unicode"
)

// page is a Markdown document being written. Blocks are separated by one empty
// line.
type page struct{ b strings.Builder }

// block adds one block of text as it is.
func (p *page) block(text string) {
	if p.b.Len() > 0 {
		p.b.WriteByte('\n')
	}
	p.b.WriteString(strings.TrimRight(text, "\n"))
	p.b.WriteByte('\n')
}

// heading adds a heading; text is Markdown.
func (p *page) heading(level int, text string) { p.block(strings.Repeat("#", level) + " " + text) }

// para adds a paragraph; the format is Markdown, so what comes from outside
// goes through text or code first.
func (p *page) para(format string, args ...any) { p.block(fmt.Sprintf(format, args...)) }

// bullets adds a list; each item is Markdown.
func (p *page) bullets(items ...string) { p.list(items, func(int) string { return "- " }) }

// steps adds a numbered list; each item is Markdown.
func (p *page) steps(items ...string) {
	p.list(items, func(i int) string { return fmt.Sprintf("%d. ", i+1) })
}

func (p *page) list(items []string, mark func(i int) string) {
	var b strings.Builder
	for i, item := range items {
		m := mark(i)
		b.WriteString(m + strings.ReplaceAll(item, "\n", "\n"+strings.Repeat(" ", len(m))) + "\n")
	}
	if len(items) > 0 {
		p.block(b.String())
	}
}

// check is an entry of a checklist.
type check struct {
	done bool
	text string // Markdown
}

// checklist adds a task list.
func (p *page) checklist(list []check) {
	p.list(texts(list), func(i int) string {
		if list[i].done {
			return "- [x] "
		}
		return "- [ ] "
	})
}

func texts(list []check) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = c.text
	}
	return out
}

// table adds a table; cells are Markdown. A table without rows is left out.
func (p *page) table(header []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			// A bar ends a cell even inside code.
			b.WriteString("| " + strings.ReplaceAll(strings.ReplaceAll(c, `\|`, "|"), "|", `\|`) + " ")
		}
		b.WriteString("|\n")
	}
	line(header)
	b.WriteString(strings.Repeat("| --- ", len(header)) + "|\n")
	for _, r := range rows {
		line(r)
	}
	p.block(b.String())
}

// fence adds a block of code, with more backticks around it than are in it.
func (p *page) fence(language, code string) { p.block(fenced(language, code)) }

func fenced(language, code string) string {
	ticks := strings.Repeat("`", max(3, longestRun(code, '`')+1))
	return ticks + language + "\n" + strings.TrimRight(code, "\n") + "\n" + ticks
}

// code writes text as inline code. Line breaks and other control characters
// show as their escapes.
func code(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsControl(r):
			quoted := fmt.Sprintf("%q", r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
	}
	s := b.String()
	if strings.TrimSpace(s) == "" {
		return "(empty)"
	}
	ticks := strings.Repeat("`", longestRun(s, '`')+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || strings.HasPrefix(s, " ") && strings.HasSuffix(s, " ") {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// codef is code of a formatted text.
func codef(format string, args ...any) string { return code(fmt.Sprintf(format, args...)) }

// text writes plain text as Markdown that shows it unchanged, in one line.
func text(s string) string {
	var b strings.Builder
	runes := []rune(strings.Join(strings.Fields(s), " "))
	for i, r := range runes {
		switch r {
		case '_':
			// between letters it marks nothing
			if i == 0 || i+1 == len(runes) || !alphanumeric(runes[i-1]) || !alphanumeric(runes[i+1]) {
				b.WriteByte('\\')
			}
		case '\\', '`', '*', '[', ']', '<', '>', '#', '|', '~', '$', '!':
			b.WriteByte('\\')
		case '&':
			b.WriteString("&amp;")
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// longestRun is the length of the longest run of a character.
func longestRun(s string, c rune) int {
	longest, run := 0, 0
	for _, r := range s {
		if r == c {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	return longest
}

// prose joins words: "a", "a and b", "a, b and c".
func prose(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// plural is "1 token", "2 tokens".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
