package main

import (
	"regexp"
	"slices"
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

// functions finds the function bodies of a file. Comments, preprocessor lines
// and what they leave out hold no code.
func functions(f kernels.File) []function {
	code := compiled(kernels.Blank(f.Text))
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

// defined are the names that the emulator's compiler defines, of those that
// kernels ask for.
var defined = map[string]bool{"ATTNDIFF_EMULATOR": true}

var conditional = regexp.MustCompile(`^#\s*(ifdef|ifndef|if|elif|else|endif)\b\s*(\w*)`)

// compiled blanks preprocessor lines and the lines that they leave out of what
// the emulator compiles. Of #if and #elif, whose conditions are about a GPU's
// architecture, all branches stay.
func compiled(code string) string {
	lines := strings.SplitAfter(code, "\n")
	type branch struct{ known, taken bool }
	var open []branch
	for i, l := range lines {
		trimmed := strings.TrimSpace(l)
		if m := conditional.FindStringSubmatch(trimmed); m != nil {
			switch top := len(open) - 1; {
			case m[1] == "ifdef" || m[1] == "ifndef":
				open = append(open, branch{true, defined[m[2]] == (m[1] == "ifdef")})
			case m[1] == "if":
				open = append(open, branch{taken: true})
			case top < 0: // a stray line, which the compiler will not take either
			case m[1] == "endif":
				open = open[:top]
			case open[top].known:
				open[top].taken = !open[top].taken
			}
		}
		off := slices.ContainsFunc(open, func(b branch) bool { return !b.taken })
		if off || strings.HasPrefix(trimmed, "#") {
			lines[i] = strings.Repeat(" ", len(strings.TrimSuffix(l, "\n"))) + l[len(strings.TrimSuffix(l, "\n")):]
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
