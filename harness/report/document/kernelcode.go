package document

import (
	"fmt"
	"regexp"
	"strings"

	"attndiff/ours/kernels"
	"attndiff/traces/execution"
)

// fragment is a function of a kernel file as it was compiled.
type fragment struct {
	file string // base name
	line int    // of its first line, from 1
	name string
	text string
}

// String is the fragment's place.
func (f fragment) String() string { return fmt.Sprintf("ours/kernels/%s:%d", f.file, f.line) }

var (
	// head finds the name before a function's parameter list at the top level.
	head = regexp.MustCompile(`([A-Za-z_]\w*)\s*\(`)
	word = regexp.MustCompile(`[A-Za-z_]\w*`)
)

// functions lists the functions that a kernel file defines: what stands at the
// top level and ends in a body.
func functions(file, source string) []fragment {
	code := kernels.Blank(source)
	var all []fragment
	depth, start := 0, 0
	for i, c := range code {
		switch c {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				all = appendFunction(all, file, source, code, start, i+1)
				start = i + 1
			}
		case ';':
			if depth == 0 {
				start = i + 1
			}
		}
	}
	return all
}

// appendFunction adds what lies between two offsets if it is a function: a
// preprocessor line or a comment before it is not part of it.
func appendFunction(all []fragment, file, source, code string, start, end int) []fragment {
	for start < end {
		line, _, _ := strings.Cut(code[start:end], "\n")
		if t := strings.TrimSpace(line); t != "" && !strings.HasPrefix(t, "#") {
			break
		}
		start += len(line) + 1
	}
	body := strings.IndexByte(code[start:end], '{')
	if body < 0 {
		return all
	}
	m := head.FindStringSubmatch(code[start : start+body])
	if m == nil {
		return all // a struct, a namespace
	}
	name := m[1]
	for _, m := range head.FindAllStringSubmatch(code[start:start+body], -1) {
		if name = m[1]; !strings.HasPrefix(name, "__") {
			break // not __launch_bounds__
		}
	}
	return append(all, fragment{file, 1 + strings.Count(source[:start], "\n"), name, source[start:end]})
}

// kernelCode is a kernel with the functions of its file that it calls, callees
// first, as they were compiled; nil when the trace does not hold the text.
func kernelCode(sources execution.Sources, file, kernel string) []fragment {
	text, ok := sources[file]
	if !ok {
		return nil
	}
	all := functions(file, text)
	called := map[string]bool{kernel: true}
	for more := true; more; {
		more = false
		for _, f := range all {
			if !called[f.name] {
				continue
			}
			for _, w := range word.FindAllString(kernels.Blank(f.text), -1) {
				if !called[w] && defines(all, w) {
					called[w], more = true, true
				}
			}
		}
	}
	var used []fragment
	for _, f := range all {
		if called[f.name] {
			used = append(used, f)
		}
	}
	return used
}

func defines(all []fragment, name string) bool {
	for _, f := range all {
		if f.name == name {
			return true
		}
	}
	return false
}

// longestCode bounds the lines of code that are quoted of one function.
const longestCode = 80

// mostCode bounds the lines that are quoted at once.
const mostCode = 240

// codeBlock shows functions, each below its place. Where they are too many
// lines, the last ones are shown, which call the others.
func codeBlock(list []fragment) string {
	var parts []string
	first, lines := len(list), 0
	for first > 0 && (first == len(list) || lines < mostCode) {
		first--
		lines += min(strings.Count(list[first].text, "\n"), longestCode)
	}
	if first > 0 {
		var names []string
		for _, f := range list[:first] {
			names = append(names, fmt.Sprintf("// %s, %s", f, f.name))
		}
		parts = append(parts, "// not shown, called by what follows:\n"+strings.Join(names, "\n"))
	}
	for _, f := range list[first:] {
		lines := strings.Split(f.text, "\n")
		if n := len(lines); n > longestCode {
			lines = append(lines[:longestCode:longestCode], fmt.Sprintf("// ... %d lines more", n-longestCode))
		}
		parts = append(parts, "// "+f.String()+"\n"+strings.Join(lines, "\n"))
	}
	return fenced("cpp", strings.Join(parts, "\n\n"))
}
