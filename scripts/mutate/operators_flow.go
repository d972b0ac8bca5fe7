package main

import (
	"regexp"
	"slices"
	"strings"

	"attndiff/ours/kernels"
)

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
