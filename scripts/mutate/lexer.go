package main

import (
	"regexp"
	"strings"

	"attndiff/ours/kernels"
)

// token is a word of CUDA C++.
type token struct {
	text string
	at   int // offset in the file
}

// lexeme matches one token: a name, a number, an operator of up to three
// characters.
var lexeme = regexp.MustCompile(`[A-Za-z_]\w*|0[xX][0-9a-fA-F]+[uUlL]*|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fFuUlL]*|<<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|::|\S`)

// function is a function body of a kernel file.
type function struct {
	file, name string
	params     []string // names of int parameters, in order
	from, to   int      // offsets of what stands between the braces
	body       []token  // the same as tokens
}

var (
	signature = regexp.MustCompile(`(?s)([A-Za-z_]\w*)\s*\(([^()]*)\)\s*(?:const\s*)?\{`)
	intParam  = regexp.MustCompile(`\bint\s+([A-Za-z_]\w*)\s*(?:,|$)`)
)

// functions finds the function bodies of a file. Comments and preprocessor
// lines hold no code.
func functions(f kernels.File) []function {
	code := everywhere(kernels.Blank(f.Text))
	var list []function
	for from := 0; ; {
		m := signature.FindStringSubmatchIndex(code[from:])
		if m == nil {
			return list
		}
		fn := function{file: f.Name, name: code[from+m[2] : from+m[3]]}
		for _, p := range intParam.FindAllStringSubmatch(code[from+m[4]:from+m[5]], -1) {
			fn.params = append(fn.params, p[1])
		}
		fn.from = from + m[1]
		fn.to = fn.from + closing(code[fn.from:])
		fn.body = tokens(code[fn.from:fn.to], fn.from)
		list = append(list, fn)
		from = fn.to
	}
}

// closing is the offset of the brace that closes the one before s.
func closing(s string) int {
	depth := 1
	for i, c := range s {
		switch c {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(s)
}

// tokens splits code that starts at an offset of its file.
func tokens(code string, offset int) []token {
	var list []token
	for _, m := range lexeme.FindAllStringIndex(code, -1) {
		list = append(list, token{code[m[0]:m[1]], offset + m[0]})
	}
	return list
}

// conditional matches a preprocessor line that begins, parts or ends a branch.
var conditional = regexp.MustCompile(`^#\s*(if|else|endif)\w*\b\s*(\w*)`)

// emulator is the name that kernels ask for where the emulator needs other code
// than a GPU.
const emulator = "ATTNDIFF_EMULATOR"

// everywhere blanks preprocessor lines and what they leave out for the emulator
// or for a GPU: code that is not compiled here, and code that is no kernel's.
func everywhere(code string) string {
	lines := strings.SplitAfter(code, "\n")
	depth, apart := 0, 0 // how deep in branches, and where those for the emulator began
	for i, l := range lines {
		trimmed := strings.TrimSpace(l)
		m := conditional.FindStringSubmatch(trimmed)
		if m != nil && m[1] == "if" {
			if depth++; apart == 0 && m[2] == emulator {
				apart = depth
			}
		}
		if apart > 0 || strings.HasPrefix(trimmed, "#") {
			line := strings.TrimSuffix(l, "\n")
			lines[i] = strings.Repeat(" ", len(line)) + l[len(line):]
		}
		if m != nil && m[1] == "endif" {
			if depth == apart {
				apart = 0
			}
			depth = max(0, depth-1)
		}
	}
	return strings.Join(lines, "")
}

// operand reports whether a token can end an operand, so that an operator
// after it is a binary one.
func operand(t token) bool {
	if t.text == ")" || t.text == "]" {
		return true
	}
	return isNumber(t) || isName(t) && !keywords[t.text]
}

// keywords are words after which * is no product: types and statements.
var keywords = map[string]bool{
	"const": true, "float": true, "double": true, "int": true, "char": true, "unsigned": true, "signed": true, "bool": true,
	"size_t": true, "__half": true, "__nv_bfloat16": true, "S": true, "W": true, "return": true, "else": true, "if": true,
}

func isName(t token) bool {
	c := t.text[0]
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isNumber(t token) bool { return t.text[0] >= '0' && t.text[0] <= '9' }
