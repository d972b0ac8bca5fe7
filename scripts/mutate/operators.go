package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"attndiff/ours/kernels"
)

// add takes one change: old at an offset of the file becomes new.
type add func(kind string, at int, old, new string)

// operators are the ways to change a function.
var operators = []func(kernels.File, function, add){
	exchange, literals, indices, strides, axes, arguments, branches, statements,
}

// exchanges of one token by others. A minus sign needs an operand before it, or
// it is a sign.
var exchanges = map[string][]string{
	"+": {"-"}, "-": {"+"}, "*": {"/", "+"}, "/": {"*"}, "%": {"/"},
	"+=": {"-=", "="}, "/=": {"*="},
	"<": {"<=", "+ 1 <", ">="}, "<=": {"<"}, ">": {">=", "<"}, ">=": {">"}, "==": {"!="}, "!=": {"=="},
	"&&": {"||"}, "||": {"&&"},
	"fmaxf": {"fminf"}, "fminf": {"fmaxf"}, "min": {"max"}, "max": {"min"},
	"cos": {"sin"}, "sin": {"cos"}, "expf": {"exp2f"}, "sqrtf": {""}, "pow": {"fmax"},
	"__shfl_xor_sync": {"__shfl_down_sync", "__shfl_up_sync"},
}

// exchange swaps operators and functions for their neighbours.
func exchange(_ kernels.File, fn function, add add) {
	for i, t := range fn.body {
		binary := i > 0 && operand(fn.body[i-1])
		switch {
		case (t.text == "*" || t.text == "+") && !binary:
			continue // a pointer, a sign
		case t.text == "-" && !binary:
			add("sign", t.at, t.text, "")
			continue
		}
		kind := "operator"
		switch t.text {
		case "<", "<=", ">", ">=", "==", "!=":
			kind = "compare"
		case "+=", "/=":
			kind = "assignment"
		}
		if isName(t) {
			kind = "function"
		}
		for _, other := range exchanges[t.text] {
			add(kind, t.at, t.text, other)
		}
	}
}

// literals moves numbers to their neighbours.
func literals(_ kernels.File, fn function, add add) {
	for _, t := range fn.body {
		if isNumber(t) {
			for _, other := range neighbours(t.text) {
				add("constant", t.at, t.text, other)
			}
		}
	}
}

// constexpr matches a named constant; groups: name and value.
var constexpr = regexp.MustCompile(`(?m)^(?:static )?constexpr int (\w+) = (\d+);`)

// constants moves the named constants of a file.
func constants(f kernels.File, add add) {
	for _, m := range constexpr.FindAllStringSubmatchIndex(f.Text, -1) {
		text := f.Text[m[4]:m[5]]
		n, err := strconv.Atoi(text)
		if err != nil {
			continue // a number that the compiler does not take either
		}
		for _, other := range []int{n + 1, n - 1, 2 * n, n / 2} {
			add("constant", m[4], text, strconv.Itoa(other))
		}
	}
}

// neighbours are numbers that could stand where a number stands.
func neighbours(text string) []string {
	switch text {
	case "0xff800000": // -Inf as bits
		return []string{"0x7f800000", "0x00000000"}
	case "0xffffffffu": // all lanes
		return []string{"0x0000ffffu", "0x7fffffffu"}
	}
	number := strings.TrimRight(text, "fFuUlL")
	suffix := text[len(number):]
	if n, err := strconv.Atoi(number); err == nil && suffix == "" {
		list := []string{strconv.Itoa(n + 1)}
		if n > 0 {
			list = append(list, strconv.Itoa(n-1))
		}
		if n >= 8 {
			list = append(list, strconv.Itoa(n/2))
		}
		return list
	}
	switch number {
	case "0.0":
		return []string{"1.0" + suffix}
	case "1.0":
		return []string{"0.0" + suffix, "2.0" + suffix}
	case "0.5":
		return []string{"1.0" + suffix, "0.25" + suffix}
	case "2.0":
		return []string{"1.0" + suffix}
	}
	return nil
}

// indices moves every index by one, unless a number in it that is moved does
// the same.
func indices(f kernels.File, fn function, add add) {
	for i, t := range fn.body {
		if t.text != "[" || i == 0 || !operand(fn.body[i-1]) || declared(fn.body[:i]) {
			continue
		}
		end := match(fn.body, i, "[", "]")
		if end < 0 {
			continue
		}
		if isNumber(fn.body[end-1]) && (end == i+2 || slices.Contains([]string{"+", "-"}, fn.body[end-2].text)) {
			continue
		}
		close := fn.body[end].at
		add("index", close, "]", " + 1]")
		add("index", close, "]", " - 1]")
	}
}

// declared reports whether tokens end in an array being declared: its size is
// no index.
func declared(before []token) bool {
	for i := len(before) - 1; i >= 0; i-- {
		switch before[i].text {
		case ";", "{", "}":
			return false
		case "__shared__":
			return true
		}
	}
	return false
}

// match is the index of the token that closes the one at i, -1 without one.
func match(list []token, i int, open, close string) int {
	depth := 0
	for j := i; j < len(list); j++ {
		switch list[j].text {
		case open:
			depth++
		case close:
			if depth--; depth == 0 {
				return j
			}
		}
	}
	return -1
}

// strides exchanges the sizes a function is given: T for C, G for H.
func strides(_ kernels.File, fn function, add add) {
	for _, t := range fn.body {
		i := slices.Index(fn.params, t.text)
		if i < 0 || len(fn.params) < 2 {
			continue
		}
		add("stride", t.at, t.text, fn.params[(i+1)%len(fn.params)])
	}
}

// axes exchanges the axes of CUDA's built-in variables, and the variables.
func axes(_ kernels.File, fn function, add add) {
	other := map[string]string{"x": "y", "y": "x", "z": "y"}
	variable := map[string]string{"blockDim": "gridDim", "threadIdx": "blockIdx", "blockIdx": "threadIdx"}
	for i, t := range fn.body {
		if variable[t.text] == "" || i+2 >= len(fn.body) || fn.body[i+1].text != "." {
			continue
		}
		axis := fn.body[i+2]
		add("axis", axis.at, axis.text, other[axis.text])
		add("axis", t.at, t.text, variable[t.text])
	}
}

// symmetric functions give the same whatever the order of their arguments.
var symmetric = map[string]bool{"fmaxf": true, "fminf": true, "min": true, "max": true}

// arguments swaps neighbouring arguments of calls.
func arguments(f kernels.File, fn function, add add) {
	for i, t := range fn.body {
		if !isName(t) || keywords[t.text] || t.text == "for" || symmetric[t.text] || i+1 >= len(fn.body) || fn.body[i+1].text != "(" {
			continue
		}
		end := match(fn.body, i+1, "(", ")")
		if end < 0 {
			continue
		}
		list := split(fn.body[i+2 : end])
		for k := 0; k+1 < len(list); k++ {
			from, to := list[k][0].at, last(list[k+1])
			middle := f.Text[last(list[k]):list[k+1][0].at]
			a, b := f.Text[from:last(list[k])], f.Text[list[k+1][0].at:to]
			add("arguments", from, f.Text[from:to], b+middle+a)
		}
	}
}

// split cuts a list of arguments at its commas.
func split(list []token) [][]token {
	var out [][]token
	depth, from := 0, 0
	for i, t := range list {
		switch t.text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		case ",":
			if depth == 0 {
				out = append(out, list[from:i])
				from = i + 1
			}
		}
	}
	if from < len(list) {
		out = append(out, list[from:])
	}
	return slices.DeleteFunc(out, func(part []token) bool { return len(part) == 0 })
}

// last is the offset behind the last token.
func last(list []token) int {
	t := list[len(list)-1]
	return t.at + len(t.text)
}

// branches inverts conditions, fixes them, and swaps the two sides of ?:.
func branches(f kernels.File, fn function, add add) {
	for i, t := range fn.body {
		switch t.text {
		case "if":
			end := match(fn.body, i+1, "(", ")")
			if end < 0 {
				continue
			}
			from, to := fn.body[i+1].at+1, fn.body[end].at
			condition := f.Text[from:to]
			for _, other := range []string{"!(" + condition + ")", "true", "false"} {
				add("condition", from, condition, other)
			}
		case "?":
			colon := slices.IndexFunc(fn.body[i:], func(t token) bool { return t.text == ":" })
			if colon < 0 {
				continue
			}
			yes := fn.body[i+1 : i+colon]
			no := fn.body[i+colon+1:]
			n := 0
			for depth := 0; n < len(no) && !(depth == 0 && slices.Contains([]string{";", ",", ")"}, no[n].text)); n++ {
				switch no[n].text {
				case "(", "[":
					depth++
				case ")", "]":
					depth--
				}
			}
			no = no[:n]
			a, b := f.Text[yes[0].at:last(yes)], f.Text[no[0].at:last(no)]
			from, to := yes[0].at, last(no)
			add("branch", from, f.Text[from:to], b+" : "+a)
			add("branch", from, f.Text[from:to], a+" : "+a)
			add("branch", from, f.Text[from:to], b+" : "+b)
		}
	}
}

// statement matches a line that is one statement and no declaration.
var statement = regexp.MustCompile(`^\s*(?:return;|(?:[*A-Za-z_(][^=;{}]*=[^=]|[a-z_]\w*(?:<[^<>;]*>)?\()[^{}]*;)\s*$`)

// declaration matches lines that declare what they assign.
var declaration = regexp.MustCompile(`^\s*(?:const|float|double|int|bool|size_t|unsigned|__shared__|return \S)`)

// barrier matches what orders threads or waits for memory.
var barrier = regexp.MustCompile(`^(?:__sync|__threadfence|copies_wait)`)

// statements drops lines, barriers among them.
func statements(f kernels.File, fn function, add add) {
	if len(fn.body) == 0 {
		return
	}
	code := everywhere(kernels.Blank(f.Text))
	from, to := fn.body[0].at, last(fn.body)
	for at := strings.LastIndexByte(code[:from], '\n') + 1; at < to; {
		end := at + strings.IndexByte(code[at:]+"\n", '\n')
		text := code[at:end]
		if statement.MatchString(text) && !declaration.MatchString(text) {
			trimmed := strings.TrimSpace(text)
			kind := "statement"
			if barrier.MatchString(trimmed) {
				kind = "barrier"
			}
			start := at + strings.Index(text, trimmed)
			add(kind, start, f.Text[start:start+len(trimmed)], "")
		}
		at = end + 1
	}
}
