package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed equivalent.txt
var equivalentText string

// equivalence says that changes of one line change no result, and why.
type equivalence struct {
	file, from string
	next       string // lines after it, "" for any
	to         []string
	reason     string
	line       int    // of equivalent.txt
	used       []bool // per change
}

// gapMark begins the reason of a mutant that is not equivalent and survives all
// the same: what follows says what the harness cannot see. It counts as survived.
const gapMark = "Gap: "

// dropped stands for the line that is not there any more.
const dropped = "(dropped)"

// parseEquivalent reads equivalent.txt. An entry is a paragraph: the kernel
// file, the line as it is, the lines that it becomes, the reason.
//
//	rms_norm.cu
//	- __shared__ float warp_sums[32];
//	+ __shared__ float warp_sums[33];
//	+ __shared__ float warp_sums[31];
//	A block of 256 threads has 8 warps.
//
// Lines are found by their text, without comment and indentation, so that an
// entry outlives changes around it. Where a file holds a line more than once and
// the reason is not for all, the line of code after it follows it, after ~, and
// if need be those after that.
// Lines that begin with # are comments.
func parseEquivalent(text string) ([]equivalence, error) {
	var list []equivalence
	var e *equivalence
	done := func() error {
		if e != nil && (e.from == "" || len(e.to) == 0 || e.reason == "") {
			return fmt.Errorf("equivalent.txt:%d: an entry is a file, a line after -, lines after + and a reason", e.line)
		}
		e = nil
		return nil
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		mark, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "":
			if err := done(); err != nil {
				return nil, err
			}
		case line[0] == '#':
		case e == nil:
			list = append(list, equivalence{file: line, line: n})
			e = &list[len(list)-1]
		case mark == "-" && e.from == "":
			e.from = rest
		case mark == "~" && len(e.to) == 0:
			e.next += rest + "\n"
		case mark == "+" && e.reason == "":
			if rest == dropped {
				rest = ""
			}
			e.to = append(e.to, rest)
			e.used = append(e.used, false)
		default:
			e.reason = strings.TrimSpace(e.reason + " " + line)
		}
	}
	return list, done()
}

// reason looks a mutant up among the equivalent ones.
func reason(list []equivalence, m mutant) (string, bool) {
	for _, e := range list {
		if e.file != m.File || e.from != m.From || !strings.HasPrefix(m.Next+"\n", e.next) {
			continue
		}
		if i := slices.Index(e.to, m.To); i >= 0 {
			e.used[i] = true
			return e.reason, true
		}
	}
	return "", false
}

// unused words the entries that no mutant answers to: the kernels have changed,
// or the mutants.
func unused(list []equivalence) []string {
	var out []string
	for _, e := range list {
		for i, to := range e.to {
			if !e.used[i] {
				out = append(out, fmt.Sprintf("equivalent.txt:%d: there is no mutant of %s that makes %q of %q; remove it", e.line, e.file, to, e.from))
			}
		}
	}
	return out
}
