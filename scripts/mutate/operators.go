package main

import (
	"regexp"
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
