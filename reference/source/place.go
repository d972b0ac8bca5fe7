package source

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"attndiff/traces/tap"
)

// Site is one place in the sources.
type Site struct {
	File    string   // below the module's folder
	Line    int      // from 1
	Symbol  string   // what stands in that line
	Snippet []string // the telling lines, common indent removed
	Note    string   // what the lines do not say by themselves, "" for nothing
}

// Place is where llama.cpp computes a tap: the line of the graph that calls
// for the op, and what does the arithmetic on the CPU and on a GPU.
type Place struct {
	Site
	Arithmetic Site
	CUDA       Site
}

// Find locates a tap in the sources this binary was built from.
func Find(t tap.Tap) (Place, error) {
	tree, err := Open()
	if err != nil {
		return Place{}, err
	}
	return tree.Find(t)
}

// Greedy locates the greedy choice from the logits in the sources this binary
// was built from.
func Greedy() (Site, error) {
	tree, err := Open()
	if err != nil {
		return Site{}, err
	}
	return tree.site(greedy)
}

// Fused locates the kernel that computes scores, softmax and weighted
// sum in one on a GPU, in the sources this binary was built from.
func Fused() (Site, error) {
	tree, err := Open()
	if err != nil {
		return Site{}, err
	}
	return tree.site(fused)
}

// Find locates a tap in these sources.
func (tree Tree) Find(t tap.Tap) (Place, error) {
	e, ok := entries[t]
	if !ok {
		return Place{}, fmt.Errorf("llama.cpp's sources: no place is known for tap %s", t)
	}
	var p Place
	for _, part := range []struct {
		site  *Site
		trail trail
	}{{&p.Site, e.graph}, {&p.Arithmetic, e.by.cpu}, {&p.CUDA, e.by.cuda}} {
		var err error
		if *part.site, err = tree.site(part.trail); err != nil {
			return Place{}, fmt.Errorf("tap %s: %w", t, err)
		}
	}
	return p, nil
}

// trail leads to a site. A fragment is part of a line; a run of spaces in it
// counts as one.
type trail struct {
	file string
	// function are fragments of a function's head, each below the one before:
	// more than one where a name is overloaded.
	function []string
	// line is a fragment of the line that is meant, inside the function; ""
	// for the function's head.
	line   string
	symbol string // part of the line that is meant
	// shows is a fragment of the first telling line, from the line that is
	// meant on; "" for that line itself. rows is how many lines tell, 0 for
	// the whole statement.
	shows string
	rows  int
	// then are more lines that tell, each further down than the ones before;
	// what lies between is left out.
	then []piece
	note string
}

// piece is a fragment of the first of so many lines.
type piece struct {
	shows string
	rows  int
}

// longestStatement bounds a snippet that runs to the end of its statement.
const longestStatement = 6

// site follows a trail.
func (tree Tree) site(t trail) (Site, error) {
	text, err := os.ReadFile(filepath.Join(string(tree), filepath.FromSlash(t.file)))
	if err != nil {
		return Site{}, fmt.Errorf("llama.cpp's sources: %w", err)
	}
	lines := strings.Split(string(text), "\n")
	at := 0
	for _, fragment := range t.function {
		n := index(lines[at:], fragment)
		if n < 0 {
			return Site{}, t.lost(fragment)
		}
		at += n
	}
	body := lines[:at+length(lines[at:])]
	for _, fragment := range []string{t.line, t.symbol} {
		n := index(body[at:], fragment)
		if n < 0 || fragment == t.symbol && n > 0 {
			return Site{}, t.lost(fragment)
		}
		at += n
	}
	s := Site{File: t.file, Line: at + 1, Symbol: t.symbol, Note: t.note}
	n := index(body[at:], t.shows)
	if n < 0 {
		return Site{}, t.lost(t.shows)
	}
	at += n
	telling := slices.Clone(t.telling(body[at:]))
	at += len(telling)
	for _, p := range t.then {
		n := index(body[at:], p.shows)
		if n < 0 {
			return Site{}, t.lost(p.shows)
		}
		if n > 0 {
			telling = append(telling, indentOf(body[at+n])+omission)
		}
		at += n
		rows := min(p.rows, len(body)-at)
		telling = append(telling, body[at:at+rows]...)
		at += rows
	}
	s.Snippet = outdent(telling)
	return s, nil
}

// omission stands for lines that are left out of a snippet.
const omission = "..."

// telling cuts the lines that tell from what follows them.
func (t trail) telling(lines []string) []string {
	if t.rows > 0 {
		return lines[:min(t.rows, len(lines))]
	}
	n := 1
	for n < min(longestStatement, len(lines)) && !closes(lines[n-1]) {
		n++
	}
	return lines[:n]
}

// lost says which fragment a version of llama.cpp no longer has.
func (t trail) lost(fragment string) error {
	return fmt.Errorf("llama.cpp's sources: %s: %s has no %q; this version words it otherwise: mend reference/source",
		t.file, strings.Join(t.function, " "), fragment)
}

// index is the first line that contains the fragment, -1 when there is none.
func index(lines []string, fragment string) int {
	fragment = squeeze(fragment)
	for i, l := range lines {
		if strings.Contains(squeeze(l), fragment) {
			return i
		}
	}
	return -1
}

// length is how many lines a function has, its head first: it ends with the
// first brace in the first column.
func length(lines []string) int {
	for i, l := range lines {
		if strings.HasPrefix(l, "}") {
			return i + 1
		}
	}
	return len(lines)
}

// squeeze makes every run of white space one space.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// closes reports whether a line ends its statement.
func closes(line string) bool {
	line = strings.TrimSpace(line)
	return strings.HasSuffix(line, ";") || strings.HasSuffix(line, "{") || strings.HasSuffix(line, "}")
}

// indentOf is the white space that a line begins with.
func indentOf(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " \t"))] }

// outdent removes the indent that all lines share.
func outdent(lines []string) []string {
	indent := -1
	for _, l := range lines {
		if strings.TrimSpace(l) == "" {
			continue
		}
		if n := len(indentOf(l)); indent < 0 || n < indent {
			indent = n
		}
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.TrimRight(l[min(max(indent, 0), len(l)):], " \t\r")
	}
	return out
}
