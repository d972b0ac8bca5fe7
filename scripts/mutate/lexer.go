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
	name   string
	params []string // names of int parameters, in order
	body   []token  // between the braces
}

var (
	signature = regexp.MustCompile(`(?s)([A-Za-z_]\w*)\s*\(([^()]*)\)\s*\{`)
	intParam  = regexp.MustCompile(`\bint\s+([A-Za-z_]\w*)\s*(?:,|$)`)
)

// functions finds the function bodies of a file. Comments and preprocessor
// lines hold no code.
func functions(f kernels.File) []function {
	code := withoutDirectives(kernels.Blank(f.Text))
	var list []function
	for from := 0; ; {
		m := signature.FindStringSubmatchIndex(code[from:])
		if m == nil {
			return list
		}
		fn := function{name: code[from+m[2] : from+m[3]]}
		for _, p := range intParam.FindAllStringSubmatch(code[from+m[4]:from+m[5]], -1) {
			fn.params = append(fn.params, p[1])
		}
		start := from + m[1]
		end := start + closing(code[start:])
		fn.body = tokens(code[start:end], start)
		list = append(list, fn)
		from = end
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

// withoutDirectives blanks preprocessor lines.
func withoutDirectives(code string) string {
	lines := strings.SplitAfter(code, "\n")
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimSpace(l), "#") {
			lines[i] = strings.Repeat(" ", max(len(l)-1, 0)) + "\n"
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
	c := t.text[0]
	word := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	return c >= '0' && c <= '9' || word && !keywords[t.text]
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
