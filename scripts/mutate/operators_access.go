package main

import (
	"slices"

	"attndiff/ours/kernels"
)

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
